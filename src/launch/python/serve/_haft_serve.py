"""The program of a bundle made by `haft build --wsgi`: takes options and becomes the server.

Runs as a script out of the image, so that servers that start themselves anew (gunicorn at SIGUSR2) find it again.
"""
import argparse
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = os.path.basename(os.environ.get("HAFT_BUNDLE") or sys.argv[0])
CANNOT_START = 125

if HERE not in sys.path:
    sys.path.insert(0, HERE)  # a server's worker process runs this file under another name


class Refusal(Exception):
    """One line for the user: WHAT: WHY; REMEDY."""


def read_site():
    """What was chosen at build: application, server."""
    with open(os.path.join(HERE, "site.json"), encoding="utf-8") as file:
        return json.load(file)


def url_and_directory(text):
    url, separator, directory = text.partition("=")
    if not separator or not url.startswith("/") or not directory:
        raise argparse.ArgumentTypeError("%r: not of the form /URL=DIR" % text)
    return url.rstrip("/") or "/", directory


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def make_parser(site):
    parser = argparse.ArgumentParser(
        prog=NAME,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serves %s with %s." % (site["application"], site["server"]),
        epilog="example:\n  %s --host 0.0.0.0 --port 8080 --processes 2 --static /static=/srv/static" % NAME,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen at [127.0.0.1]")
    add("--port", type=int, default=8000, help="port to listen at [8000]")
    add("--processes", type=positive, default=1, metavar="N", help="processes that run the application [1]")
    add("--threads", type=positive, default=15, metavar="N", help="threads in each of them [15]")
    add("--static", type=url_and_directory, action="append", default=[], metavar="/URL=DIR",
        help="serve files below a URL; DIR may be PACKAGE:DIR, inside a package of the bundle; repeatable")
    add("--access-log", nargs="?", const="-", metavar="FILE", help="write a line per request [to standard output]")
    add("--user", metavar="NAME", help="run the application as this user (when started as root)")
    add("--group", metavar="NAME", help="and as this group [the user's]")
    add("--working-directory", default="/", metavar="DIR", help="of the application [/]")
    add("--request-timeout", type=positive, default=60, metavar="SECONDS", help="[60]")
    add("--shutdown-timeout", type=positive, default=15, metavar="SECONDS",
        help="how long requests may go on at a graceful end [15]")
    if site["server"] == "httpd":
        add("--server-root", metavar="DIR",
            help="keep httpd's files here [a private directory, removed at the end]")
        add("--include", action="append", default=[], metavar="FILE", help="httpd configuration to add; repeatable")
        add("--print-configuration", action="store_true", help="print the configuration for httpd and exit")
    return parser


def find_accounts(options):
    """(uid, gid) to run as, or None."""
    import grp
    import pwd

    if options.user is None:
        if options.group is not None:
            raise Refusal("--group needs --user")
        return None
    try:
        account = pwd.getpwnam(options.user)
    except KeyError:
        raise Refusal("--user '%s': no such user" % options.user) from None
    gid = account.pw_gid
    if options.group is not None:
        try:
            gid = grp.getgrnam(options.group).gr_gid
        except KeyError:
            raise Refusal("--group '%s': no such group" % options.group) from None
    if os.geteuid() != 0 and (account.pw_uid, gid) != (os.geteuid(), os.getegid()):
        raise Refusal("--user '%s': only root can become another user" % options.user)
    return account.pw_uid, gid


def become(accounts, name):
    """For good."""
    if accounts is None or os.geteuid() != 0:
        return
    uid, gid = accounts
    os.initgroups(name, gid)
    os.setgid(gid)
    os.setuid(uid)


def check_readable(accounts, user, directories):
    """Refuses directories that the user of the application may not enter: servers only notice at the first request,
    if at all."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            become(accounts, user)
            for number, (_, directory) in enumerate(directories, 1):
                if not os.access(directory, os.R_OK | os.X_OK):
                    status = number
                    break
        except BaseException:
            status = 255
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if hasattr(os, "waitstatus_to_exitcode") else 0
    if 0 < status <= len(directories):
        option, directory = directories[status - 1]
        who = "user '%s'" % user if user else "this user"
        if not os.path.isdir(directory):
            raise Refusal("%s '%s': no such directory" % (option, directory))
        raise Refusal("%s '%s': %s may not read it; choose another or open it (chmod o+rx)" % (option, directory, who))


def resolve_static(options):
    """Makes the directories of --static absolute."""
    resolved = []
    for url, directory in options.static:
        package, colon, below = directory.partition(":")
        if colon and "/" not in package:
            import importlib.util

            try:
                spec = importlib.util.find_spec(package)
            except (ImportError, ValueError):
                spec = None
            places = list(spec.submodule_search_locations or ()) if spec else []
            if not places:
                raise Refusal("--static %s=%s: there is no package '%s'" % (url, directory, package))
            directory = os.path.join(places[0], below)
        resolved.append((url, os.path.abspath(directory)))
    options.static = resolved


def load_application(target):
    import importlib

    module, _, name = target.partition(":")
    application = importlib.import_module(module)
    for attribute in name.split("."):
        application = getattr(application, attribute)
    return application


def main():
    site = read_site()
    parser = make_parser(site)
    options = parser.parse_args()
    if not 0 < options.port < 65536:
        parser.error("argument --port: not between 1 and 65535")
    try:
        resolve_static(options)
        options.working_directory = os.path.abspath(options.working_directory)
        accounts = find_accounts(options)
        directories = [("--working-directory", options.working_directory)]
        directories += [("--static", directory) for _, directory in options.static]
        check_readable(accounts, options.user, directories)
        if site["server"] == "httpd":
            import _haft_httpd as server
        else:
            import _haft_servers as server
        server.serve_site(site, options, accounts)
    except Refusal as refusal:
        sys.stderr.write("haft: '%s': %s\n" % (NAME, refusal))
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    # One module under both names: _haft_httpd raises _haft_serve.Refusal.
    sys.modules.setdefault("_haft_serve", sys.modules["__main__"])
    main()
