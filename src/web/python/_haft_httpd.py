"""Apache httpd with mod_wsgi: finds both, writes a minimal httpd.conf, checks what would fail late,
becomes httpd.

The configuration lies in the start's private directory in memory, which is gone with the last
process. Where the start could not make one, it is a temporary directory that a small child removes
when httpd and all its workers have ended.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import signal
import sys

import _haft_elf
import _haft_identity
from _haft_common import ROOT, Refusal, address, runtime_directory, split_application

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import argparse

    from _haft_identity import Check, Identity

# Used by the configuration below.
_MODULES = ("unixd", "authz_core", "log_config", "mime", "alias", "reqtimeout")
_MPMS = ("mpm_event", "mpm_worker", "mpm_prefork")
_THREADS = 15  # of a daemon process, mod_wsgi's default
_SHUTDOWN_SECONDS = 15


class Httpd:
    """The files of an httpd installation that are used."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.executable = options.httpd_executable or _find_executable()
        self.modules = options.modules_directory or _find_modules(self.executable)
        if not os.path.isdir(self.modules):
            raise Refusal(
                f"modules directory '{self.modules}': not there; use --modules-directory DIR"
            )
        self.mod_wsgi = options.mod_wsgi or _find_mod_wsgi(self.modules)
        self.libpython = _check_mod_wsgi(self.mod_wsgi, self.executable == bundled("bin/httpd"))


def bundled(path: str) -> str | None:
    """A file that --bundle-httpd or --bundle-python put into the image, or None."""
    path = os.path.join(ROOT, "usr", path)
    return path if os.path.exists(path) else None


def _find_executable() -> str:
    own = bundled("bin/httpd")
    if own:
        return own
    search = [
        directory
        for directory in os.environ.get("PATH", "").split(os.pathsep)
        if directory.startswith("/")
    ]
    search += ["/usr/sbin", "/usr/local/sbin", "/usr/local/apache2/bin"]
    for name in ("apache2", "httpd"):
        found = shutil.which(name, path=os.pathsep.join(search))
        if found:
            return found
    raise Refusal(
        "httpd: neither 'apache2' nor 'httpd' is there; install it (Debian: apache2-bin), build "
        "with --bundle-httpd, or use --httpd-executable FILE"
    )


def _find_modules(executable: str) -> str:
    if executable == bundled("bin/httpd"):
        return os.path.join(ROOT, "usr", "lib/httpd/modules")
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(executable)))
    places = [
        "lib/apache2/modules",
        "lib64/httpd/modules",
        "lib/httpd/modules",
        "libexec/apache2",
        "modules",
    ]
    for place in places:
        directory = os.path.join(prefix, place)
        if os.path.isdir(directory):
            return directory
    raise Refusal(
        "httpd '{}': its modules are in none of {} below '{}'; use --modules-directory DIR".format(
            executable, ", ".join(places), prefix
        )
    )


def _find_mod_wsgi(modules: str) -> str:
    """That of the package mod_wsgi, in the bundle or where Python finds it, before httpd's."""
    version = "{}{}".format(*sys.version_info[:2])
    for path in sys.path:
        found = sorted(
            glob.glob(os.path.join(glob.escape(path), f"mod_wsgi/server/mod_wsgi-py{version}*.so"))
        )
        if found:
            return found[0]
    for name in ("mod_wsgi.so", "mod_wsgi_python3.so"):
        path = os.path.join(modules, name)
        if os.path.exists(path):
            return path
    raise Refusal(
        f"mod_wsgi: neither in the bundle nor in '{modules}'; install it (Debian: "
        "libapache2-mod-wsgi-py3), put the "
        "package mod_wsgi into the bundle, or use --mod-wsgi FILE"
    )


def _check_mod_wsgi(path: str, bundled_httpd: bool) -> str | None:
    """Python's shared library if httpd has to be told where it is. A wrong or missing one makes
    httpd complain about its LoadModule line, or the Python in it about everything."""
    try:
        needed = _haft_elf.needed_libraries(path)
    except (OSError, ValueError) as error:
        raise Refusal(
            "mod_wsgi '{}': {}; use --mod-wsgi FILE".format(
                path, getattr(error, "strerror", None) or error
            )
        ) from None
    ours = "{}.{}".format(*sys.version_info[:2])
    for name in needed:
        match = re.match(r"libpython(\d+\.\d+)[a-z]*\.so", name)
        if not match:
            continue
        if match[1] != ours:
            raise Refusal(
                f"mod_wsgi '{path}': made for Python {match[1]}, this bundle is for Python "
                f"{ours}; install the "
                "mod_wsgi of that "
                f"Python or build the bundle with -p python{match[1]}"
            )
        if bundled_httpd:
            return None  # its loader looks into the bundle
        import sysconfig

        own = os.path.join(sysconfig.get_config_var("LIBDIR") or "", name)
        if ROOT in (own[: len(ROOT)], sys.prefix[: len(ROOT)]) and _haft_elf.is_elf(own):
            return own  # the bundle brings its Python
        if _haft_elf.find_library(name, sysconfig.get_config_var("MULTIARCH") or ""):
            return None
        if _haft_elf.is_elf(own):
            return own
        raise Refusal(
            f"mod_wsgi '{path}': needs {name}, which is not there; install it (Debian: "
            f"libpython{ours}) or "
            "build with --bundle-httpd"
        )
    return None


# --- httpd.conf -----------------------------------------------------------------------------------


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
        f"TypesConfig {quoted(_types_file(directory))}",
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


def _types_file(directory: str) -> str:
    known = (bundled("conf/mime.types"), "/etc/mime.types", directory + "/mime.types")
    return next(
        path for path in known if path and (os.path.exists(path) or path.startswith(directory))
    )


# --- the directory --------------------------------------------------------------------------------


def _write(path: str, text: str, mode: int) -> None:
    with open(
        os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode), "wb"
    ) as file:
        os.fchmod(file.fileno(), mode)
        file.write(os.fsencode(text))


def _fill(directory: str, options: argparse.Namespace, httpd: Httpd, text: str) -> None:
    """Other users, the workers, pass through the directory to what they know by name."""
    _write(directory + "/httpd.conf", text, 0o600)
    _write(directory + "/application.wsgi", application_script(options), 0o644)
    if _types_file(directory).startswith(directory):
        import mimetypes

        _write(
            directory + "/mime.types",
            "".join(
                f"{kind} {suffix[1:]}\n" for suffix, kind in sorted(mimetypes.types_map.items())
            ),
            0o644,
        )
    os.mkdir(directory + "/htdocs", 0o755)
    os.symlink(httpd.modules, directory + "/modules")  # for LoadModule lines of an included file


def _temporary_directory(identity: Identity, name: str) -> str:
    import tempfile

    places = ["/run"] if os.geteuid() == 0 else [os.environ.get("XDG_RUNTIME_DIR", "")]
    place = next(
        (
            place
            for place in places
            if place.startswith("/") and os.access(place, os.W_OK | os.X_OK)
        ),
        None,
    )
    directory = tempfile.mkdtemp(prefix=f"haft-{name}-", dir=place)
    if identity.changes:
        os.chmod(directory, 0o711)
    _remove_at_the_end(directory)
    return directory


def _remove_at_the_end(directory: str) -> None:
    """A child of init removes it once every process that inherits our end of a pipe has ended."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    child = os.fork()
    if child:
        os.close(reader)
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.dup2(reader, 0)
        os.closerange(1, 1024)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        os.read(0, 1)
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        os._exit(0)


# --- start ----------------------------------------------------------------------------------------


def _static_checks(options: argparse.Namespace) -> list[Check]:
    def readable(path: str) -> Check:
        def check() -> str | None:
            if not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
                return (
                    f"static files '{path}': the server's user cannot read them; give it the "
                    f"right to"
                )
            return None

        return check

    return [readable(path) for _, path in options.static]


def serve(options: argparse.Namespace) -> int:
    identity = _haft_identity.Identity(options.user, options.group)
    if os.geteuid() == 0 and identity.uid == 0 and not options.print_config:
        raise Refusal(
            "httpd does not serve as root; add --user www-data, or another user without rights"
        )
    httpd = Httpd(options)
    private = runtime_directory()
    if options.print_config:
        sys.stdout.write(configuration(options, httpd, identity, private or "/DIRECTORY"))
        return 0
    checks = _haft_identity.usual_checks(options, ROOT) + _static_checks(options)
    problem = identity.first_problem(checks)
    if problem:
        raise Refusal(problem)
    os.chdir("/")  # the daemon processes enter theirs
    directory = private or _temporary_directory(identity, options.name)
    if private and identity.changes:
        os.chmod(directory, 0o711)
    _fill(directory, options, httpd, configuration(options, httpd, identity, directory))
    _ignore_size_changes()
    sys.stdout.flush()
    try:
        os.execv(
            httpd.executable,
            [httpd.executable, "-D", "FOREGROUND", "-f", directory + "/httpd.conf"],
        )
    except OSError as error:
        raise Refusal(f"httpd '{httpd.executable}': {error.strerror}") from None


def _ignore_size_changes() -> None:
    """httpd takes SIGWINCH for an order to stop, and a terminal sends it when its window changes
    size."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return  # no terminal: the signal means what httpd's manual says
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
