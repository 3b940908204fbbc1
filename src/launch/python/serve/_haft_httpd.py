"""Apache httpd with mod_wsgi: writes a configuration into a private directory and becomes httpd."""
import os
import select
import shutil
import signal
import stat
import sys
import sysconfig
import tempfile

import _haft_serve as serve
from _haft_serve import HERE, Refusal

IMAGE = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = ("/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd")
MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules", "/usr/local/apache2/modules")
MIME_TYPES = ("/etc/mime.types", "/etc/httpd/conf/mime.types", "/usr/local/apache2/conf/mime.types")


def bundled(path):
    """A file of the image, or None."""
    path = os.path.join(IMAGE, "usr", path)
    return path if os.path.exists(path) else None


def find_httpd():
    """(program, its directory of modules): the bundle's, else the host's."""
    program = bundled("bin/httpd")
    if program:
        return program, bundled("lib/httpd/modules")
    program = next((path for path in PROGRAMS if os.access(path, os.X_OK)), None)
    modules = next((path for path in MODULES if os.path.exists(os.path.join(path, "mod_mime.so"))), None)
    if program is None or modules is None:
        raise Refusal("this host has no Apache httpd; install apache2-bin (httpd), or build with --bundle-httpd")
    return program, modules


def find_mod_wsgi(modules):
    """The Apache module: that of a mod_wsgi package in the bundle, else httpd's."""
    for directory in sys.path:
        server = os.path.join(directory, "mod_wsgi", "server")
        if directory.startswith(IMAGE + "/") and os.path.isdir(server):
            for name in sorted(os.listdir(server)):
                if name.startswith("mod_wsgi-py") and name.endswith(".so"):
                    return os.path.join(server, name)
    path = os.path.join(modules, "mod_wsgi.so")
    if not os.path.exists(path):
        raise Refusal("there is no mod_wsgi, neither in the bundle nor in '%s'; install libapache2-mod-wsgi-py3 or put "
                      "mod_wsgi into the bundle" % modules)
    return path


def check_libpython(module):
    """httpd's own words for a missing library are about a line of its configuration."""
    name = sysconfig.get_config_var("INSTSONAME") or ""
    if not name.startswith("libpython") or ".so" not in name:
        name = "libpython%d.%d.so.1.0" % sys.version_info[:2]
    with open(module, "rb") as file:
        if name.encode() not in file.read():
            return  # linked another way
    import _ctypes  # without ctypes, which costs ten milliseconds

    try:
        _ctypes.dlopen(name, 0)
    except OSError:
        raise Refusal("mod_wsgi needs %s, which this host does not have; install %s or build with --bundle-python"
                      % (name, name.partition(".so")[0])) from None


def quoted(text):
    """A word of httpd's configuration."""
    if '"' in text or "\n" in text or "\\" in text:
        raise Refusal("%r: cannot be named in the configuration of httpd" % text)
    return '"%s"' % text


def log_target(path, stream, descriptor):
    """How httpd shall write to our standard output or error. It opens the file anew, which a socket (under systemd) does not
    allow: then a pipe is laid."""
    if path != "-":
        return quoted(os.path.abspath(path))
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISSOCK(kind):
            os.close(os.open(stream, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY))
            return quoted(stream)
    except OSError:
        pass
    # A bundle with an interpreter of its own relies on no program of the host.
    copy = None if bundled("bin/python3") else shutil.which("cat")
    if copy is None:
        copy = "%s -I -S -c 'import os; [os.write(1, d) for d in iter(lambda: os.read(0, 65536), bytes())]'" % sys.executable
    return quoted("|" + copy)  # its output is ours, for the error log our standard error


def configuration(site, options, accounts, root):
    program, modules = find_httpd()
    mod_wsgi = find_mod_wsgi(modules)
    check_libpython(mod_wsgi)
    address = "[%s]" % options.host if ":" in options.host else options.host
    lines = [
        "# Written for %s; gone when httpd is." % serve.NAME,
        "ServerRoot %s" % quoted(root),
        "ServerName %s" % address,
        "DefaultRuntimeDir %s" % quoted(root),
        "PidFile %s" % quoted(os.path.join(root, "httpd.pid")),
        "Listen %s:%d" % (address, options.port),
    ]
    for name in ("mpm_event", "unixd", "log_config", "authn_core", "authz_core", "authz_host", "mime", "alias", "dir",
                 "env", "headers", "setenvif", "reqtimeout"):
        path = os.path.join(modules, "mod_%s.so" % name)
        if os.path.exists(path):  # else built in, or not essential
            lines += ["<IfModule !%s_module>" % name, "  LoadModule %s_module %s" % (name, quoted(path)), "</IfModule>"]
    lines.append("LoadModule wsgi_module %s" % quoted(mod_wsgi))
    types = bundled("conf/mime.types") or next(filter(os.path.exists, MIME_TYPES), "/dev/null")
    lines += [
        "TypesConfig %s" % quoted(types),
        "ErrorLog %s" % log_target("-", "/dev/stderr", 2),
        "LogLevel warn",
        'LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined',
    ]
    if options.access_log:
        lines.append("CustomLog %s combined" % log_target(options.access_log, "/dev/stdout", 1))
    if accounts and os.geteuid() == 0:
        lines += ["User #%d" % accounts[0], "Group #%d" % accounts[1]]
    lines += [
        "ServerTokens Prod",
        "TraceEnable Off",
        "Timeout %d" % options.request_timeout,
        "GracefulShutdownTimeout %d" % options.shutdown_timeout,
        "WSGIPythonHome %s" % quoted(sys.prefix),
        "WSGISocketPrefix %s" % quoted(os.path.join(root, "wsgi")),
        "WSGIRestrictEmbedded On",
        "WSGIDaemonProcess site processes=%d threads=%d home=%s display-name=%s locale='C.UTF-8' request-timeout=%d "
        "graceful-timeout=%d python-path=''"
        % (options.processes, options.threads, quoted(options.working_directory), quoted("(wsgi:%s)" % serve.NAME),
           options.request_timeout, options.shutdown_timeout),
        "WSGIProcessGroup site",
        "WSGIApplicationGroup %{GLOBAL}",
        "WSGIPassAuthorization On",
        "<Directory />",
        "  AllowOverride None",
        "  Require all denied",
        "</Directory>",
    ]
    for url, directory in sorted(options.static, reverse=True):  # the longer URL first
        lines += ["Alias %s %s" % (quoted(url), quoted(directory)),
                  "<Directory %s>" % quoted(directory), "  Require all granted", "</Directory>"]
    lines += [
        "WSGIScriptAlias / %s process-group=site application-group=%%{GLOBAL}"
        % quoted(os.path.join(HERE, "application.wsgi")),
        "<Directory %s>" % quoted(HERE),
        "  <Files application.wsgi>",
        "    Require all granted",
        "  </Files>",
        "</Directory>",
    ]
    lines += ["Include %s" % quoted(os.path.abspath(file)) for file in options.include]
    return program, "\n".join(lines) + "\n"


def remove_at_end(directory):
    """A process beside httpd that removes the directory when this process, whatever it becomes, has ended."""
    if not hasattr(os, "pidfd_open"):
        return
    try:
        end = os.pidfd_open(os.getpid())
    except OSError:
        return
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        os.close(end)
        return
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH):
            signal.signal(number, signal.SIG_IGN)
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        with open("/proc/self/comm", "w") as name:
            name.write("haft-sweep")
        select.select([end], [], [])
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        os._exit(0)


def private_directory(accounts):
    """0700; where httpd's children become another user 0711, because they connect to sockets in it."""
    directory = tempfile.mkdtemp(prefix="%s-" % serve.NAME)
    if accounts and os.geteuid() == 0 and accounts[0] != 0:
        os.chmod(directory, 0o711)
    return directory


def serve_site(site, options, accounts):
    if os.geteuid() == 0 and (accounts is None or accounts[0] == 0):
        raise Refusal("httpd does not serve as root; name a user for the application with --user, for example www-data")
    if options.print_configuration:
        root = os.path.abspath(options.server_root or "PRIVATE-DIRECTORY")
        sys.stdout.write(configuration(site, options, accounts, root)[1])
        return
    if options.server_root:
        root = os.path.abspath(options.server_root)
        os.makedirs(root, mode=0o755, exist_ok=True)
    else:
        root = private_directory(accounts)
    try:
        program, text = configuration(site, options, accounts, root)
        path = os.path.join(root, "httpd.conf")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
    except BaseException:
        if not options.server_root:
            shutil.rmtree(root, ignore_errors=True)
        raise
    if not options.server_root:
        remove_at_end(root)
    sys.stdout.flush()
    # Room for what mod_wsgi writes over it in its processes: "(wsgi:NAME)".
    name = "%s (%s)" % (os.path.basename(program), serve.NAME)
    os.execv(program, [name, "-f", path, "-DFOREGROUND"])
