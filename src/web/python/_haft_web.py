"""The command line of a site: how it serves what the build chose, whatever the server."""

import argparse
import os
import sys

import _haft_bundle

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SERVERS = ("httpd", "gunicorn", "uvicorn", "waitress")


class Refusal(Exception):
    """Why nothing is started: "WHAT: WHY; REMEDY", one line."""


def main():
    """Becomes the server. Returns only when one that runs in this process has ended: its exit status."""
    try:
        options = parse(sys.argv[1:])
        # Modules of our own are found only now: the program's path does not have this directory.
        sys.path.insert(0, HERE)
        try:
            if options.server == "httpd":
                import _haft_httpd as server
            else:
                import _haft_servers as server

                if options.static:
                    import _haft_static  # noqa: F401
        finally:
            sys.path.remove(HERE)
        return server.serve(options)
    except Refusal as refusal:
        sys.stdout.flush()
        sys.stderr.write("haft: '%s': %s\n" % (_program(), refusal))
        sys.stderr.flush()
        return 125


def _program():
    return os.path.basename(os.environ.get("HAFT_BUNDLE", "")) or _haft_bundle.NAME


# --- command line ----------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Refusal("%s; --help shows all options" % message.replace("\n", " "))


def _text(value):
    """Nothing that could end a line or a string somewhere: all of it goes into another program's configuration."""
    if not value:
        raise argparse.ArgumentTypeError("it is empty")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise argparse.ArgumentTypeError("%s has a control character" % ascii(value))
    return value


def _number(low, high):
    def number(value):
        if not (value.isascii() and value.isdigit() and low <= int(value[:9]) <= high):
            raise argparse.ArgumentTypeError(
                "%s is not a number from %d to %d" % (ascii(value), low, high)
            )
        return int(value)

    return number


def _host(value):
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    if not value or value.strip(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_"
    ):
        raise argparse.ArgumentTypeError("%s is neither an address nor a host name" % ascii(value))
    return value


def _path(value):
    return os.path.abspath(_text(value))


def _log(value):
    return value if value == "-" else _path(value)


def _file(value):
    path = _path(value)
    if not os.path.isfile(path):
        raise argparse.ArgumentTypeError("%s is no file" % ascii(path))
    return path


def _static(value):
    """(URL path without a slash at the end, absolute path of a file or directory); PACKAGE:DIR is in a package."""
    url, equals, path = _text(value).partition("=")
    if not equals or not path or not url.startswith("/") or not url.strip("/"):
        raise argparse.ArgumentTypeError(
            "%s is not URL=DIR as in /static=/srv/static" % ascii(value)
        )
    if url.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._~-"):
        raise argparse.ArgumentTypeError(
            "%s: only letters, digits and /._~- in the URL" % ascii(value)
        )
    if any(part in (".", "..") for part in url.split("/")) or "//" in url:
        raise argparse.ArgumentTypeError("%s: not a plain URL path" % ascii(value))
    package, colon, below = path.partition(":")
    if colon and "/" not in package:
        path = os.path.join(_package_directory(value, package), below)
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise argparse.ArgumentTypeError("%s: %s is not there" % (ascii(value), ascii(path)))
    return url.rstrip("/"), path


def _package_directory(value, package):
    import importlib.util

    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise argparse.ArgumentTypeError(
            "%s: there is no package %s" % (ascii(value), ascii(package))
        )
    return list(spec.submodule_search_locations)[0]


_EXAMPLE = """example:
  %(prog)s --port 8080 --processes 2 --threads 15 --static /static=/srv/static --access-log
  sudo ./%(prog)s --host 0.0.0.0 --port 80 --user www-data --working-directory /srv
"""


def parse(arguments):
    """The options; paths are absolute, what was not given is None (so that a server's own default holds)."""
    interface, application, server = _haft_bundle.WEB
    parser = _Parser(
        prog=_program(),
        allow_abbrev=False,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serves the application of this bundle until it is stopped (Ctrl-C, SIGTERM).",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on [127.0.0.1; 0.0.0.0 for all]",
    )
    add("--port", type=_number(1, 65535), default=8000, help="[8000]")
    add(
        "--processes",
        type=_number(1, 1000),
        metavar="N",
        help="processes that run the application [1]",
    )
    add(
        "--threads",
        type=_number(1, 10000),
        metavar="N",
        help="threads of each [httpd 15, else the server's default]",
    )
    add(
        "--static",
        type=_static,
        action="append",
        default=[],
        metavar="URL=DIR",
        help="serve the files of DIR (or one file) below URL; PACKAGE:DIR is in a package; repeatable",
    )
    add(
        "--access-log",
        type=_log,
        nargs="?",
        const="-",
        metavar="FILE",
        help="log requests to FILE [standard output]",
    )
    add(
        "--error-log",
        type=_path,
        metavar="FILE",
        help="log errors and what the application prints [standard error]",
    )
    add("--user", type=_text, help="user the application runs as; needs root")
    add("--group", type=_text, help="[the user's]")
    add(
        "--working-directory",
        type=_path,
        metavar="DIR",
        help="of the application [the current one]",
    )
    add(
        "--server-name",
        type=_host,
        metavar="NAME",
        help="name in redirects without a Host header (httpd)",
    )
    add(
        "--request-timeout",
        type=_number(1, 86400),
        metavar="S",
        help="seconds a request may take (httpd, gunicorn)",
    )
    add(
        "--shutdown-timeout",
        type=_number(1, 86400),
        metavar="S",
        help="seconds for them at the end (httpd, gunicorn)",
    )
    add(
        "--include-file",
        "--include",
        type=_file,
        metavar="FILE",
        help="the server's own configuration file to include",
    )
    add("--server", choices=SERVERS, default=server, help="[%s, as built]" % server)
    add(
        "--httpd-executable",
        type=_file,
        metavar="FILE",
        help="Apache httpd [the bundle's, else the host's]",
    )
    add("--modules-directory", type=_path, metavar="DIR", help="httpd's modules [beside httpd]")
    add(
        "--mod-wsgi",
        type=_file,
        metavar="FILE",
        help="the module mod_wsgi [the bundle's, else httpd's]",
    )
    add(
        "--print-config",
        "--print-configuration",
        action="store_true",
        help="print what the server would get, and end",
    )
    add("-h", "--help", action="help", help="show this and end")
    options = parser.parse_args(arguments)
    options.name, options.interface, options.application = _haft_bundle.NAME, interface, application
    if options.interface == "asgi" and options.server != "uvicorn":
        raise Refusal("%s: cannot serve an ASGI application; use --server uvicorn" % options.server)
    options.working_directory = options.working_directory or _current_directory()
    return options


def _current_directory():
    try:
        return os.getcwd()
    except OSError as error:
        raise Refusal("current directory: %s; use --working-directory /" % error.strerror) from None


# --- application -----------------------------------------------------------------------------------------------


def split_application(text):
    """("shop.wsgi", "application", whether that is a function that makes the application: "shop:create()")"""
    module, _, name = text.partition(":")
    factory = name.endswith("()")
    return module, (name[:-2] if factory else name) or "application", factory


def load_application(text):
    module, name, factory = split_application(text)
    __import__(module)
    found = sys.modules[module]
    for attribute in name.split("."):
        found = getattr(found, attribute)
    return found() if factory else found


def runtime_directory():
    """The private directory in memory that the start made beside the mount, which ends with it; None without one."""
    path = os.path.join(os.path.dirname(ROOT), ".run")
    try:
        own = os.lstat(path)
        usable = own.st_uid == os.geteuid() and own.st_dev != os.lstat(os.path.dirname(path)).st_dev
    except OSError:
        return None
    return path if usable and os.access(path, os.W_OK | os.X_OK) else None
