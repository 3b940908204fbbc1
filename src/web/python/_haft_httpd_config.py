"""The configuration that httpd is started with: httpd.conf and the WSGI script that it names."""

from __future__ import annotations

import os
import shutil
import sys

from _haft_common import Refusal, address, bundled, split_application

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import argparse

    from _haft_httpd import Httpd
    from _haft_identity import Identity

_MODULES = ("unixd", "authz_core", "log_config", "mime", "alias", "reqtimeout")
_MPMS = ("mpm_event", "mpm_worker", "mpm_prefork")
_THREADS = 15  # of a daemon process, mod_wsgi's default
_SHUTDOWN_SECONDS = 15


def quoted(value: str) -> str:
    """A word of httpd.conf. httpd replaces ${NAME} everywhere, and has no way to write that
    otherwise."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value) or "${" in value:
        raise Refusal(
            f"{value!a}: httpd's configuration cannot hold control characters and '${{'; use "
            f"another name"
        )
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))


def _option(name: str, value: str) -> str:
    """NAME=VALUE of WSGIDaemonProcess, which knows quotes, but no escapes in them."""
    quote = "'" if '"' in value else '"'
    if quote in value or "\\" in value:
        raise Refusal(
            f"{value!a}: mod_wsgi's configuration cannot hold a backslash or both kinds of quotes; "
            "use another name"
        )
    quoted(value)
    return f"{name}={quote}{value}{quote}"


def _plain_path(path: str, what: str) -> str:
    """A path where httpd expands patterns."""
    if any(character in path for character in "*?["):
        raise Refusal(f"{what} {path!a}: httpd takes * ? [ for a pattern; use another name")
    return quoted(path)


def _locale() -> str:
    """The locale a Python started here would have: in httpd nobody replaces C by C.UTF-8."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = os.environ.get(name)
        if value:
            return "C.UTF-8" if value in ("C", "POSIX") else value
    return "C.UTF-8"


def _log(path: str, descriptor: int) -> str:
    """The argument of ErrorLog or CustomLog. path "-" or None: our descriptor."""
    if path not in (None, "-"):
        return quoted(path)
    try:
        os.fstat(descriptor)
    except OSError:
        return '"/dev/null"'  # started with it closed
    name = {1: "/dev/stdout", 2: "/dev/stderr"}[descriptor]
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY))
        return quoted(name)
    except OSError:
        return _log_through_cat(name, descriptor)


def _log_through_cat(name: str, descriptor: int) -> str:
    """For what can be written, but not be opened: a socket (systemd's journal), another user's
    terminal or file.

    cat gets a copy of the descriptor with a number of its own: httpd makes its own standard error
    the log.
    """
    cat = shutil.which("cat", path="/bin:/usr/bin")
    if bundled("bin/python3"):
        return _log_through_python(descriptor)  # such a bundle relies on no program of the host
    if cat is None or not os.path.exists("/bin/sh"):
        raise Refusal(
            f"{name}: httpd cannot open it, and there is no sh and cat to help; use --error-log "
            "FILE and "
            "--access-log FILE"
        )
    copy = next(filter(_is_free, range(9, 2, -1)), None)
    if copy is None:
        raise Refusal(
            f"{name}: httpd cannot open it, and no descriptor below 10 is free; use --error-log "
            "FILE and "
            "--access-log FILE"
        )
    os.dup2(descriptor, copy, inheritable=True)
    # httpd ends its loggers by SIGTERM; the last lines are still in the pipe then, and its end is
    # the end of the log.
    return f"\"|$trap '' TERM; exec {cat} >&{copy}\""


def _log_through_python(descriptor: int) -> str:
    """The same with the bundle's own interpreter; the copy's number does not matter to it."""
    copy = os.dup(descriptor)
    os.set_inheritable(copy, True)
    code = (
        f"import os, signal; signal.signal(15, 1); [os.write({copy}, data) for data in "
        "iter(lambda: os.read(0, 65536), bytes())]"
    )
    return f"\"|{sys.executable} -I -S -c '{code}'\""


def _is_free(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def application_script(options: argparse.Namespace) -> str:
    """The WSGI script. mod_wsgi puts the working directory first on the path: nothing in it shall
    replace the bundle's."""
    module, name, factory = split_application(options.application)
    first, _, rest = name.partition(".")
    lines = [
        f'"""The WSGI script of {options.name}, written by its start."""',
        "import sys",
        "",
        f"if sys.path[:1] == [{options.working_directory!a}]:",
        "    del sys.path[0]",
        f"from {module} import {first} as application",
    ]
    if rest:
        lines.append(f"application = application.{rest}")
    if factory:
        lines.append("application = application()")
    return "\n".join(lines) + "\n"


def configuration(
    options: argparse.Namespace, httpd: Httpd, identity: Identity, directory: str
) -> str:
    """The text of httpd.conf for the files in `directory`."""
    processes = options.processes or 1
    threads = options.threads or _THREADS
    lines = [
        f"# Written by the start of {options.name}.",
        f"ServerRoot {quoted(directory)}",
        f"DefaultRuntimeDir {quoted(directory)}",
        "PidFile " + quoted(directory + "/httpd.pid"),
        f"ServerName {options.server_name or 'localhost'}",
        f"Listen {address(options)}",
    ]
    lines += _load_modules(httpd)
    if identity.changes:
        lines += [f"User {quoted(str(identity.user))}", f'Group "#{identity.gid}"']
    lines += _workers(processes * threads)
    lines += [
        f"ErrorLog {_log(options.error_log, 2)}",
        "LogLevel warn",
        "TraceEnable Off",
        "ServerTokens Prod",
        f"Timeout {max(60, options.request_timeout or 0)}",
        f"GracefulShutdownTimeout {options.shutdown_timeout or _SHUTDOWN_SECONDS}",
        "<IfModule reqtimeout_module>",
        "  RequestReadTimeout header=15-40,MinRate=500 body=20,MinRate=500",
        "</IfModule>",
        f"TypesConfig {quoted(types_file(directory))}",
        "DocumentRoot " + quoted(directory + "/htdocs"),
        "<Directory />",
        "  AllowOverride None",
        "  Require all denied",
        "</Directory>",
    ]
    if options.access_log:
        lines.append(
            f'CustomLog {_log(options.access_log, 1)} "%h %l %u %t \\"%r\\" %>s %b '
            f'\\"%{{Referer}}i\\" '
            '\\"%{User-Agent}i\\""'
        )
    # The first that matches wins: the longest first.
    for url, path in sorted(options.static, key=lambda pair: -len(pair[0])):
        lines += _static(url, path)
    lines += _wsgi(options, processes, threads, directory)
    if options.include_file:
        lines.append("Include " + _plain_path(options.include_file, "include file"))
    return "\n".join(lines) + "\n"


def _load_modules(httpd: Httpd) -> list[str]:
    """What an httpd does not have as a file it has built in."""
    names = [
        next((mpm for mpm in _MPMS if os.path.exists(_module(httpd, mpm))), _MPMS[0]),
        *list(_MODULES),
    ]
    lines = [
        f"LoadModule {name}_module {quoted(_module(httpd, name))}"
        for name in names
        if os.path.exists(_module(httpd, name))
    ]
    if httpd.libpython:
        lines.append(f"LoadFile {quoted(httpd.libpython)}")
    return [*lines, f"LoadModule wsgi_module {quoted(httpd.mod_wsgi)}"]


def _module(httpd: Httpd, name: str) -> str:
    return os.path.join(httpd.modules, f"mod_{name}.so")


def _workers(handlers: int) -> list[str]:
    """httpd's own processes only hand requests on: room for twice as many connections as there are
    threads."""
    per_child = 25
    children = max(1, -(-2 * handlers // per_child))
    return [
        "<IfModule !mpm_prefork_module>",
        f"  ServerLimit {children}",
        f"  ThreadsPerChild {per_child}",
        "  StartServers 1",
        "  MinSpareThreads 5",
        f"  MaxSpareThreads {max(75, per_child * children // 2)}",
        f"  MaxRequestWorkers {children * per_child}",
        "</IfModule>",
        "<IfModule mpm_prefork_module>",
        f"  ServerLimit {max(256, children * per_child)}",
        "  StartServers 2",
        f"  MaxRequestWorkers {children * per_child}",
        "</IfModule>",
    ]


def _static(url: str, path: str) -> list[str]:
    lines = [f"Alias {quoted(url)} {quoted(path)}"]
    if os.path.isdir(path):
        return [
            *lines,
            "<Directory {}>".format(_plain_path(path, "static directory")),
            "  Require all granted",
            "</Directory>",
        ]
    directory, name = os.path.split(path)
    return [
        *lines,
        "<Directory {}>".format(_plain_path(directory, "static directory")),
        "  <Files {}>".format(_plain_path(name, "static file")),
        "    Require all granted",
        "  </Files>",
        "</Directory>",
    ]


def _wsgi(options: argparse.Namespace, processes: int, threads: int, directory: str) -> list[str]:
    daemon = ["WSGIDaemonProcess", options.name, f"threads={threads}"]
    if processes > 1:  # "processes=1" would tell the application that there are several
        daemon.append(f"processes={processes}")
    daemon += [
        _option("home", options.working_directory),
        _option("lang", _locale()),
        _option("locale", _locale()),
    ]
    daemon.append(_option("display-name", f"(wsgi:{options.name})"))
    daemon.append(f"graceful-timeout={options.shutdown_timeout or _SHUTDOWN_SECONDS}")
    if options.request_timeout:
        daemon.append(f"request-timeout={options.request_timeout}")
    lines = [
        "WSGIRestrictEmbedded On",
        "WSGISocketPrefix " + quoted(directory + "/wsgi"),
        "WSGIPythonHome {}".format(
            quoted(
                sys.prefix if sys.prefix == sys.exec_prefix else f"{sys.prefix}:{sys.exec_prefix}"
            )
        ),
        "WSGIPassAuthorization On",
        "WSGIScriptReloading Off",
    ]
    if sys.flags.optimize:
        lines.append(f"WSGIPythonOptimize {sys.flags.optimize}")
    lines += [
        " ".join(daemon),
        # With both named here the application is imported before the first request.
        "WSGIScriptAlias / {} process-group={} application-group=%{{GLOBAL}}".format(
            quoted(directory + "/application.wsgi"), options.name
        ),
        f"<Directory {quoted(directory)}>",
        "  <Files application.wsgi>",
        "    Require all granted",
        "  </Files>",
        "</Directory>",
    ]
    return lines


def types_file(directory: str) -> str:
    known = (bundled("conf/mime.types"), "/etc/mime.types", directory + "/mime.types")
    return next(
        path for path in known if path and (os.path.exists(path) or path.startswith(directory))
    )
