"""Apache httpd with mod_wsgi: finds both, writes a minimal httpd.conf, checks what would fail late, becomes httpd.

The configuration lies in the start's private directory in memory, which is gone with the last process. Where the
start could not make one, it is a temporary directory that a small child removes when httpd and all its workers have ended.
"""

import glob
import os
import re
import shutil
import signal
import sys

import _haft_elf
import _haft_identity
from _haft_web import ROOT, Refusal, runtime_directory, split_application

# Used by the configuration below.
_MODULES = ("unixd", "authz_core", "log_config", "mime", "alias", "reqtimeout")
_MPMS = ("mpm_event", "mpm_worker", "mpm_prefork")
_THREADS = 15  # of a daemon process, mod_wsgi's default
_SHUTDOWN_SECONDS = 15


class Httpd:
    """The files of an httpd installation that are used."""

    def __init__(self, options):
        self.executable = options.httpd_executable or _find_executable()
        self.modules = options.modules_directory or _find_modules(self.executable)
        if not os.path.isdir(self.modules):
            raise Refusal(
                "modules directory '%s': not there; use --modules-directory DIR" % self.modules
            )
        self.mod_wsgi = options.mod_wsgi or _find_mod_wsgi(self.modules)
        self.libpython = _check_mod_wsgi(self.mod_wsgi, self.executable == bundled("bin/httpd"))


def bundled(path):
    """A file that --bundle-httpd or --bundle-python put into the image, or None."""
    path = os.path.join(ROOT, "usr", path)
    return path if os.path.exists(path) else None


def _find_executable():
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


def _find_modules(executable):
    if executable == bundled("bin/httpd"):
        return bundled("lib/httpd/modules")
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
        "httpd '%s': its modules are in none of %s below '%s'; use --modules-directory DIR"
        % (executable, ", ".join(places), prefix)
    )


def _find_mod_wsgi(modules):
    """That of the package mod_wsgi, in the bundle or where Python finds it, before httpd's."""
    version = "%d%d" % sys.version_info[:2]
    for path in sys.path:
        found = sorted(
            glob.glob(
                os.path.join(glob.escape(path), "mod_wsgi/server/mod_wsgi-py%s*.so" % version)
            )
        )
        if found:
            return found[0]
    for name in ("mod_wsgi.so", "mod_wsgi_python3.so"):
        path = os.path.join(modules, name)
        if os.path.exists(path):
            return path
    raise Refusal(
        "mod_wsgi: neither in the bundle nor in '%s'; install it (Debian: libapache2-mod-wsgi-py3), put the "
        "package mod_wsgi into the bundle, or use --mod-wsgi FILE" % modules
    )


def _check_mod_wsgi(path, bundled_httpd):
    """Python's shared library if httpd has to be told where it is. A wrong or missing one makes httpd complain
    about its LoadModule line, or the Python in it about everything."""
    try:
        needed = _haft_elf.needed_libraries(path)
    except (OSError, ValueError) as error:
        raise Refusal(
            "mod_wsgi '%s': %s; use --mod-wsgi FILE"
            % (path, getattr(error, "strerror", None) or error)
        ) from None
    ours = "%d.%d" % sys.version_info[:2]
    for name in needed:
        match = re.match(r"libpython(\d+\.\d+)[a-z]*\.so", name)
        if not match:
            continue
        if match[1] != ours:
            raise Refusal(
                "mod_wsgi '%s': made for Python %s, this bundle is for Python %s; install the mod_wsgi of that "
                "Python or build the bundle with -p python%s" % (path, match[1], ours, match[1])
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
            "mod_wsgi '%s': needs %s, which is not there; install it (Debian: libpython%s) or "
            "build with --bundle-httpd" % (path, name, ours)
        )
    return None


# --- httpd.conf ------------------------------------------------------------------------------------------------


def quoted(value):
    """A word of httpd.conf. httpd replaces ${NAME} everywhere, and has no way to write that otherwise."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value) or "${" in value:
        raise Refusal(
            "%s: httpd's configuration cannot hold control characters and '${'; use another name"
            % ascii(value)
        )
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


def _option(name, value):
    """NAME=VALUE of WSGIDaemonProcess, which knows quotes, but no escapes in them."""
    quote = "'" if '"' in value else '"'
    if quote in value or "\\" in value:
        raise Refusal(
            "%s: mod_wsgi's configuration cannot hold a backslash or both kinds of quotes; use another name"
            % ascii(value)
        )
    quoted(value)
    return "%s=%s%s%s" % (name, quote, value, quote)


def _plain_path(path, what):
    """A path where httpd expands patterns."""
    if any(character in path for character in "*?["):
        raise Refusal(
            "%s %s: httpd takes * ? [ for a pattern; use another name" % (what, ascii(path))
        )
    return quoted(path)


def _listen(host, port):
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


def _locale():
    """The locale a Python started here would have: in httpd nobody replaces C by C.UTF-8."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = os.environ.get(name)
        if value:
            return "C.UTF-8" if value in ("C", "POSIX") else value
    return "C.UTF-8"


def _log(path, descriptor):
    """The argument of ErrorLog or CustomLog. path "-" or None: our descriptor."""
    if path not in (None, "-"):
        return quoted(path)
    try:
        os.fstat(descriptor)
    except OSError:
        return '"/dev/null"'  # started with it closed
    name = "/dev/std%s" % {1: "out", 2: "err"}[descriptor]
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY))
        return quoted(name)
    except OSError:
        return _log_through_cat(name, descriptor)


def _log_through_cat(name, descriptor):
    """For what can be written, but not be opened: a socket (systemd's journal), another user's terminal or file.

    cat gets a copy of the descriptor with a number of its own: httpd makes its own standard error the log.
    """
    cat = shutil.which("cat", path="/bin:/usr/bin")
    if bundled("bin/python3"):
        return _log_through_python(descriptor)  # such a bundle relies on no program of the host
    if cat is None or not os.path.exists("/bin/sh"):
        raise Refusal(
            "%s: httpd cannot open it, and there is no sh and cat to help; use --error-log FILE and "
            "--access-log FILE" % name
        )
    copy = next(filter(_is_free, range(9, 2, -1)), None)
    if copy is None:
        raise Refusal(
            "%s: httpd cannot open it, and no descriptor below 10 is free; use --error-log FILE and "
            "--access-log FILE" % name
        )
    os.dup2(descriptor, copy, inheritable=True)
    # httpd ends its loggers by SIGTERM; the last lines are still in the pipe then, and its end is the end of the log.
    return "\"|$trap '' TERM; exec %s >&%d\"" % (cat, copy)


def _log_through_python(descriptor):
    """The same with the bundle's own interpreter; the copy's number does not matter to it."""
    copy = os.dup(descriptor)
    os.set_inheritable(copy, True)
    code = (
        "import os, signal; signal.signal(15, 1); [os.write(%d, data) for data in "
        "iter(lambda: os.read(0, 65536), bytes())]" % copy
    )
    return "\"|%s -I -S -c '%s'\"" % (sys.executable, code)


def _is_free(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def application_script(options):
    """The WSGI script. mod_wsgi puts the working directory first on the path: nothing in it shall replace the bundle's."""
    module, name, factory = split_application(options.application)
    first, _, rest = name.partition(".")
    lines = [
        '"""The WSGI script of %s, written by its start."""' % options.name,
        "import sys",
        "",
        "if sys.path[:1] == [%s]:" % ascii(options.working_directory),
        "    del sys.path[0]",
        "from %s import %s as application" % (module, first),
    ]
    if rest:
        lines.append("application = application.%s" % rest)
    if factory:
        lines.append("application = application()")
    return "\n".join(lines) + "\n"


def configuration(options, httpd, identity, directory):
    """The text of httpd.conf for the files in `directory`."""
    processes = options.processes or 1
    threads = options.threads or _THREADS
    lines = [
        "# Written by the start of %s." % options.name,
        "ServerRoot %s" % quoted(directory),
        "DefaultRuntimeDir %s" % quoted(directory),
        "PidFile %s" % quoted(directory + "/httpd.pid"),
        "ServerName %s" % (options.server_name or "localhost"),
        "Listen %s" % _listen(options.host, options.port),
    ]
    lines += _load_modules(httpd)
    if identity.changes:
        lines += ["User %s" % quoted(identity.user), 'Group "#%d"' % identity.gid]
    lines += _workers(processes * threads)
    lines += [
        "ErrorLog %s" % _log(options.error_log, 2),
        "LogLevel warn",
        "TraceEnable Off",
        "ServerTokens Prod",
        "Timeout %d" % max(60, options.request_timeout or 0),
        "GracefulShutdownTimeout %d" % (options.shutdown_timeout or _SHUTDOWN_SECONDS),
        "<IfModule reqtimeout_module>",
        "  RequestReadTimeout header=15-40,MinRate=500 body=20,MinRate=500",
        "</IfModule>",
        "TypesConfig %s" % quoted(_types_file(directory)),
        "DocumentRoot %s" % quoted(directory + "/htdocs"),
        "<Directory />",
        "  AllowOverride None",
        "  Require all denied",
        "</Directory>",
    ]
    if options.access_log:
        lines.append(
            'CustomLog %s "%%h %%l %%u %%t \\"%%r\\" %%>s %%b \\"%%{Referer}i\\" \\"%%{User-Agent}i\\""'
            % _log(options.access_log, 1)
        )
    # The first that matches wins: the longest first.
    for url, path in sorted(options.static, key=lambda pair: -len(pair[0])):
        lines += _static(url, path)
    lines += _wsgi(options, processes, threads, directory)
    if options.include_file:
        lines.append("Include %s" % _plain_path(options.include_file, "include file"))
    return "\n".join(lines) + "\n"


def _load_modules(httpd):
    """What an httpd does not have as a file it has built in."""
    names = [next((mpm for mpm in _MPMS if os.path.exists(_module(httpd, mpm))), _MPMS[0])] + list(
        _MODULES
    )
    lines = [
        "LoadModule %s_module %s" % (name, quoted(_module(httpd, name)))
        for name in names
        if os.path.exists(_module(httpd, name))
    ]
    if httpd.libpython:
        lines.append("LoadFile %s" % quoted(httpd.libpython))
    return lines + ["LoadModule wsgi_module %s" % quoted(httpd.mod_wsgi)]


def _module(httpd, name):
    return os.path.join(httpd.modules, "mod_%s.so" % name)


def _workers(handlers):
    """httpd's own processes only hand requests on: room for twice as many connections as there are threads."""
    per_child = 25
    children = max(1, -(-2 * handlers // per_child))
    return [
        "<IfModule !mpm_prefork_module>",
        "  ServerLimit %d" % children,
        "  ThreadsPerChild %d" % per_child,
        "  StartServers 1",
        "  MinSpareThreads 5",
        "  MaxSpareThreads %d" % max(75, per_child * children // 2),
        "  MaxRequestWorkers %d" % (children * per_child),
        "</IfModule>",
        "<IfModule mpm_prefork_module>",
        "  ServerLimit %d" % max(256, children * per_child),
        "  StartServers 2",
        "  MaxRequestWorkers %d" % (children * per_child),
        "</IfModule>",
    ]


def _static(url, path):
    lines = ["Alias %s %s" % (quoted(url), quoted(path))]
    if os.path.isdir(path):
        return lines + [
            "<Directory %s>" % _plain_path(path, "static directory"),
            "  Require all granted",
            "</Directory>",
        ]
    directory, name = os.path.split(path)
    return lines + [
        "<Directory %s>" % _plain_path(directory, "static directory"),
        "  <Files %s>" % _plain_path(name, "static file"),
        "    Require all granted",
        "  </Files>",
        "</Directory>",
    ]


def _wsgi(options, processes, threads, directory):
    daemon = ["WSGIDaemonProcess", options.name, "threads=%d" % threads]
    if processes > 1:  # "processes=1" would tell the application that there are several
        daemon.append("processes=%d" % processes)
    daemon += [
        _option("home", options.working_directory),
        _option("lang", _locale()),
        _option("locale", _locale()),
    ]
    daemon.append(_option("display-name", "(wsgi:%s)" % options.name))
    daemon.append("graceful-timeout=%d" % (options.shutdown_timeout or _SHUTDOWN_SECONDS))
    if options.request_timeout:
        daemon.append("request-timeout=%d" % options.request_timeout)
    lines = [
        "WSGIRestrictEmbedded On",
        "WSGISocketPrefix %s" % quoted(directory + "/wsgi"),
        "WSGIPythonHome %s"
        % quoted(
            sys.prefix if sys.prefix == sys.exec_prefix else "%s:%s" % (sys.prefix, sys.exec_prefix)
        ),
        "WSGIPassAuthorization On",
        "WSGIScriptReloading Off",
    ]
    if sys.flags.optimize:
        lines.append("WSGIPythonOptimize %d" % sys.flags.optimize)
    return lines + [
        " ".join(daemon),
        # With both named here the application is imported before the first request.
        "WSGIScriptAlias / %s process-group=%s application-group=%%{GLOBAL}"
        % (quoted(directory + "/application.wsgi"), options.name),
        "<Directory %s>" % quoted(directory),
        "  <Files application.wsgi>",
        "    Require all granted",
        "  </Files>",
        "</Directory>",
    ]


def _types_file(directory):
    known = (bundled("conf/mime.types"), "/etc/mime.types", directory + "/mime.types")
    return next(
        path for path in known if path and (os.path.exists(path) or path.startswith(directory))
    )


# --- the directory ---------------------------------------------------------------------------------------------


def _write(path, text, mode):
    with open(
        os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode), "wb"
    ) as file:
        os.fchmod(file.fileno(), mode)
        file.write(os.fsencode(text))


def _fill(directory, options, httpd, text):
    """Other users, the workers, pass through the directory to what they know by name."""
    _write(directory + "/httpd.conf", text, 0o600)
    _write(directory + "/application.wsgi", application_script(options), 0o644)
    if _types_file(directory).startswith(directory):
        import mimetypes

        _write(
            directory + "/mime.types",
            "".join(
                "%s %s\n" % (kind, suffix[1:])
                for suffix, kind in sorted(mimetypes.types_map.items())
            ),
            0o644,
        )
    os.mkdir(directory + "/htdocs", 0o755)
    os.symlink(httpd.modules, directory + "/modules")  # for LoadModule lines of an included file


def _temporary_directory(identity, name):
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
    directory = tempfile.mkdtemp(prefix="haft-%s-" % name, dir=place)
    if identity.changes:
        os.chmod(directory, 0o711)
    _remove_at_the_end(directory)
    return directory


def _remove_at_the_end(directory):
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


# --- start -----------------------------------------------------------------------------------------------------


def _static_checks(options):
    def readable(path):
        def check():
            if not os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0)):
                return (
                    "static files '%s': the server's user cannot read them; give it the right to"
                    % path
                )
            return None

        return check

    return [readable(path) for _, path in options.static]


def serve(options):
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
        raise Refusal("httpd '%s': %s" % (httpd.executable, error.strerror)) from None


def _ignore_size_changes():
    """httpd takes SIGWINCH for an order to stop, and a terminal sends it when its window changes size."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return  # no terminal: the signal means what httpd's manual says
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
