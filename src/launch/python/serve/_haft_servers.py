"""Servers written in Python: gunicorn, uvicorn, waitress, out of the bundle, in this process."""
import os
import socket
import sys

import _haft_serve as serve
from _haft_serve import Refusal


def listen(options):
    """Bound here: ports below 1024 need root, and the application must not be it."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        raise Refusal("%s port %d: %s" % (options.host, options.port, error.strerror or error)) from None
    listener.listen(500)
    return listener


def is_asgi(application):
    import inspect

    call = getattr(application, "__call__", None)
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(call)


def with_static(application, options):
    if not options.static:
        return application
    if is_asgi(application):
        raise Refusal("--static needs a WSGI application with this server")
    import _haft_static

    return _haft_static.StaticFiles(application, options.static)


def serve_site(site, options, accounts):
    os.chdir(options.working_directory)
    {"gunicorn": run_gunicorn, "uvicorn": run_uvicorn, "waitress": run_waitress}[site["server"]](site, options, accounts)


def run_gunicorn(site, options, accounts):
    from gunicorn.app.base import BaseApplication

    settings = {
        "bind": ("[%s]:%d" if ":" in options.host else "%s:%d") % (options.host, options.port),
        "workers": options.processes,
        "threads": options.threads,
        "timeout": options.request_timeout,
        "graceful_timeout": options.shutdown_timeout,
        "accesslog": options.access_log,
        "errorlog": "-",
        "chdir": options.working_directory,
        "proc_name": serve.NAME,
    }
    if accounts:
        settings["user"], settings["group"] = accounts

    class Application(BaseApplication):
        def load_config(self):
            for name, value in settings.items():
                if value is not None:
                    self.cfg.set(name, value)

        def load(self):
            return with_static(serve.load_application(site["application"]), options)

    # At SIGUSR2 gunicorn starts sys.executable with sys.argv: this file, which comes to the same.
    Application().run()


# Named, so that uvicorn's worker processes can import it: they are started anew.
def __getattr__(name):
    if name != "application":
        raise AttributeError(name)
    site = serve.read_site()
    options = serve.make_parser(site).parse_args(sys.argv[1:])
    serve.resolve_static(options)
    return with_static(serve.load_application(site["application"]), options)


def run_uvicorn(site, options, accounts):
    import uvicorn

    listener = listen(options)
    serve.become(accounts, options.user)
    application = serve.load_application(site["application"])
    config = uvicorn.Config(
        "_haft_servers:application",
        workers=options.processes,
        interface="auto" if is_asgi(application) else "wsgi",
        access_log=bool(options.access_log),
        log_level="info",
        limit_concurrency=None,
    )
    server = uvicorn.Server(config)
    if options.processes == 1:
        server.run(sockets=[listener])
        sys.exit(0 if server.started else 3)
    from uvicorn.supervisors import Multiprocess

    Multiprocess(config, target=server.run, sockets=[listener]).run()


def run_waitress(site, options, accounts):
    import waitress

    if options.processes != 1:
        raise Refusal("--processes %d: waitress has one process" % options.processes)
    listener = listen(options)
    serve.become(accounts, options.user)
    application = with_static(serve.load_application(site["application"]), options)
    if options.access_log:
        application = access_logged(application, options.access_log)
    waitress.serve(application, sockets=[listener], threads=options.threads, channel_timeout=options.request_timeout)


def access_logged(application, path):
    """A line per request in the common log format, which waitress itself does not write."""
    import time

    log = sys.stdout if path == "-" else open(path, "a", buffering=1, encoding="utf-8")

    def wrapped(environ, start_response):
        def note(status, headers, *more):
            size = next((value for name, value in headers if name.lower() == "content-length"), "-")
            log.write('%s - - [%s] "%s %s %s" %s %s\n' % (
                environ.get("REMOTE_ADDR", "-"), time.strftime("%d/%b/%Y:%H:%M:%S %z"), environ["REQUEST_METHOD"],
                environ.get("PATH_INFO", ""), environ.get("SERVER_PROTOCOL", ""), status.split(" ", 1)[0], size))
            log.flush()
            return start_response(status, headers, *more)

        return application(environ, note)

    return wrapped
