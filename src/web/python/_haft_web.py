"""The command line of a web application: how it serves what the build chose, by any server."""

from __future__ import annotations

import argparse
import os
import sys

import _haft_bundle
from _haft_common import Refusal

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    from typing import Callable, NoReturn

HERE = os.path.dirname(os.path.abspath(__file__))
SERVERS = ("httpd", "gunicorn", "uvicorn", "waitress")


def main() -> int:
    """Becomes the server. Returns only when one that runs in this process has ended: its exit
    status."""
    try:
        options = parse(sys.argv[1:])
        # Modules of our own are found only now: the program's path does not have this directory.
        sys.path.insert(0, HERE)
        try:
            if options.server == "httpd":
                from _haft_httpd import serve
            else:
                from _haft_servers import serve

                if options.static:
                    import _haft_static  # noqa: F401
        finally:
            sys.path.remove(HERE)
        return serve(options)
    except Refusal as refusal:
        sys.stdout.flush()
        sys.stderr.write(f"haft: '{_program()}': {refusal}\n")
        sys.stderr.flush()
        return 125


def _program() -> str:
    return os.path.basename(os.environ.get("HAFT_BUNDLE", "")) or _haft_bundle.NAME


# --- command line ---------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refusal("{}; --help shows all options".format(message.replace("\n", " ")))


def _text(value: str) -> str:
    """Nothing that could end a line or a string somewhere: all of it goes into another program's
    configuration."""
    if not value:
        raise argparse.ArgumentTypeError("it is empty")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise argparse.ArgumentTypeError(f"{value!a} has a control character")
    return value


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(value: str) -> int:
        if not (value.isascii() and value.isdigit() and low <= int(value[:9]) <= high):
            raise argparse.ArgumentTypeError(f"{value!a} is not a number from {low} to {high}")
        return int(value)

    return number


def _host(value: str) -> str:
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    if not value or value.strip(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_"
    ):
        raise argparse.ArgumentTypeError(f"{value!a} is neither an address nor a host name")
    return value


def _path(value: str) -> str:
    return os.path.abspath(_text(value))


def _log(value: str) -> str:
    return value if value == "-" else _path(value)


def _file(value: str) -> str:
    path = _path(value)
    if not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"{path!a} is no file")
    return path


def _static(value: str) -> tuple[str, str]:
    """(URL path without a slash at the end, absolute path of a file or directory); PACKAGE:DIR is
    in a package."""
    url, equals, path = _text(value).partition("=")
    if not equals or not path or not url.startswith("/") or not url.strip("/"):
        raise argparse.ArgumentTypeError(f"{value!a} is not URL=DIR as in /static=/srv/static")
    if url.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._~-"):
        raise argparse.ArgumentTypeError(f"{value!a}: only letters, digits and /._~- in the URL")
    if any(part in (".", "..") for part in url.split("/")) or "//" in url:
        raise argparse.ArgumentTypeError(f"{value!a}: not a plain URL path")
    package, colon, below = path.partition(":")
    if colon and "/" not in package:
        path = os.path.join(_package_directory(value, package), below)
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise argparse.ArgumentTypeError(f"{value!a}: {path!a} is not there")
    return url.rstrip("/"), path


def _package_directory(value: str, package: str) -> str:
    import importlib.util

    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise argparse.ArgumentTypeError(f"{value!a}: there is no package {package!a}")
    return next(iter(spec.submodule_search_locations))


_EXAMPLE = """example:
  %(prog)s --port 8080 --processes 2 --threads 15 --static /static=/srv/static --access-log
  sudo ./%(prog)s --host 0.0.0.0 --port 80 --user www-data --working-directory /srv
"""


# Long: a table of the options.
def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; paths are absolute, what was not given is None (so that a server's own default
    holds)."""
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
        help="serve the files of DIR (or one file) below URL; PACKAGE:DIR is in a package; "
        "repeatable",
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
    add("--server", choices=SERVERS, default=server, help=f"[{server}, as built]")
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
        raise Refusal(f"{options.server}: cannot serve an ASGI application; use --server uvicorn")
    options.working_directory = options.working_directory or _current_directory()
    return options


def _current_directory() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise Refusal(f"current directory: {error.strerror}; use --working-directory /") from None
