"""gunicorn, uvicorn and waitress: run in this process, from the bundle or, where it has none, from
the host.

What a server cannot do is refused by the name of the option. The working directory is entered, but
is not searched for modules, as for any program of a bundle.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

import _haft_identity
from _haft_common import (
    ROOT,
    Refusal,
    address,
    load_application,
    runtime_directory,
    split_application,
)

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import argparse
    from typing import Any

_UNSUPPORTED = {
    "gunicorn": ("server_name",),
    "uvicorn": (
        "static",
        "server_name",
        "threads",
        "error_log",
        "request_timeout",
        "shutdown_timeout",
        "include_file",
    ),
    "waitress": (
        "server_name",
        "processes",
        "error_log",
        "request_timeout",
        "shutdown_timeout",
        "include_file",
    ),
}
_OF_HTTPD = ("httpd_executable", "modules_directory", "mod_wsgi")


def serve(options: argparse.Namespace) -> int:
    _refuse_unsupported(options)
    _import(options.server)
    identity = _haft_identity.Identity(options.user, options.group)
    if not options.print_config:
        problem = identity.first_problem(_haft_identity.usual_checks(options, ROOT))
        if problem:
            raise Refusal(problem)
        os.chdir(options.working_directory)
    return {"gunicorn": _gunicorn, "uvicorn": _uvicorn, "waitress": _waitress}[options.server](
        options, identity
    )


def _refuse_unsupported(options: argparse.Namespace) -> None:
    for name in _UNSUPPORTED[options.server] + _OF_HTTPD:
        value = getattr(options, name)
        if not value or (name == "processes" and value == 1):
            continue
        raise Refusal(
            "--{}: {} has nothing like it; leave it out or use --server httpd".format(
                name.replace("_", "-"), options.server
            )
        )


def _import(server: str) -> None:
    try:
        __import__(server)
    except ModuleNotFoundError as error:
        if error.name != server:
            raise
        raise Refusal(
            f"{server}: neither in the bundle nor on this host; build the bundle with it, or "
            f"install it "
            f"(Debian: python3-{server})"
        ) from None


def _print(settings: dict[str, Any]) -> int:
    for name, value in settings.items():
        sys.stdout.write(f"{name} = {value!r}\n")
    return 0


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _gunicorn(options: argparse.Namespace, identity: _haft_identity.Identity) -> int:
    from gunicorn.app.base import Application, BaseApplication
    from gunicorn.arbiter import Arbiter

    settings = _given(
        bind=address(options),
        workers=options.processes,
        threads=options.threads,
        timeout=options.request_timeout,
        graceful_timeout=options.shutdown_timeout,
        accesslog=options.access_log,
        errorlog=options.error_log,
        user=identity.uid if identity.changes else None,
        group=identity.gid if identity.changes else None,
        proc_name=options.name,
        chdir=options.working_directory,
        worker_tmp_dir=runtime_directory(),
    )
    if identity.changes:
        settings["initgroups"] = True
    if options.print_config:
        return _print(settings)
    bundle = os.environ.get("HAFT_BUNDLE")

    class Start(BaseApplication):
        def run(self) -> None:
            arbiter = Arbiter(self)
            if bundle:
                # USR2 starts the bundle again: if its file was replaced, the new version, which
                # takes the sockets over.
                arguments = [bundle, *sys.argv[1:]]
                arbiter.START_CTX = {"args": arguments, "cwd": options.working_directory, 0: bundle}
            arbiter.run()

    class WebApplication(Application, Start):  # Application.run() ends in Start.run()
        def init(self, parser: Any, opts: Any, args: Any) -> None:
            pass

        def load_config(self) -> None:
            """Own options win over GUNICORN_CMD_ARGS, and that over the included file."""
            if options.include_file:
                self.load_config_from_file(options.include_file)
            variables = self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env())
            for name, value in vars(variables).items():
                if value is not None and name != "args":
                    self.cfg.set(name.lower(), value)
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return _with_static(load_application(options.application), options)

    WebApplication().run()
    return 0


def _uvicorn(options: argparse.Namespace, identity: _haft_identity.Identity) -> int:
    import uvicorn

    module, name, factory = split_application(options.application)
    settings = _given(
        host=options.host,
        port=options.port,
        workers=options.processes,
        factory=factory or None,
        interface="wsgi" if options.interface == "wsgi" else None,
        access_log=options.access_log is not None,
    )
    if options.access_log not in (None, "-"):
        raise Refusal(
            "--access-log FILE: uvicorn logs requests to standard output only; leave FILE out"
        )
    if options.print_config:
        return _print(settings)
    _become(identity)
    uvicorn.run(f"{module}:{name}", **settings)
    return 0


def _waitress(options: argparse.Namespace, identity: _haft_identity.Identity) -> int:
    import waitress

    settings = _given(host=options.host, port=options.port, threads=options.threads)
    if options.print_config:
        return _print(settings)
    listener = _listen(options)  # ports below 1024 need root, which the application must not be
    _become(identity)
    application = _with_static(load_application(options.application), options)
    if options.access_log:
        application = _access_logged(application, options.access_log)
    signal.signal(signal.SIGTERM, _end)  # as Ctrl-C: requests at work are finished
    waitress.serve(application, sockets=[listener], **_given(threads=options.threads))
    return 0


def _listen(options: argparse.Namespace) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        raise Refusal(
            f"listen on {options.host} port {options.port}: {error.strerror or error}; "
            "choose another --port or --host"
        ) from None
    listener.listen(1024)
    return listener


def _with_static(application: Any, options: argparse.Namespace) -> Any:
    if not options.static:
        return application
    return sys.modules["_haft_static"].StaticFiles(application, options.static)


def _access_logged(application: Any, path: str) -> Any:
    """A line per request in the common log format, which waitress itself does not write."""
    import time

    log = sys.stdout if path == "-" else open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115  # as long as the server

    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        def note(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            size = next((value for name, value in headers if name.lower() == "content-length"), "-")
            log.write(
                '{} - - [{}] "{} {} {}" {} {}\n'.format(
                    environ.get("REMOTE_ADDR", "-"),
                    time.strftime("%d/%b/%Y:%H:%M:%S %z"),
                    environ["REQUEST_METHOD"],
                    environ.get("PATH_INFO", ""),
                    environ.get("SERVER_PROTOCOL", ""),
                    status.split(" ", 1)[0],
                    size,
                )
            )
            log.flush()
            return start_response(status, headers, *more)

        return application(environ, note)

    return wrapped


def _become(identity: _haft_identity.Identity) -> None:
    try:
        identity.become()
    except OSError as error:
        raise Refusal(f"user '{identity.user}': cannot become it: {error.strerror}") from None


def _end(*_: object) -> None:
    raise SystemExit(0)
