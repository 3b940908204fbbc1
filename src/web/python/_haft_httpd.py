"""Apache httpd with mod_wsgi: finds both, writes a minimal httpd.conf, checks what would fail late,
becomes httpd.

The configuration lies in the start's private directory in memory, which is gone with the last
process. Where the start could not make one, it is a temporary directory that a small child removes
when httpd and all its workers have ended.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import sys

import _haft_checks
import _haft_identity
from _haft_common import ROOT, Refusal, bundled, runtime_directory
from _haft_httpd_config import application_script, configuration, types_file

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import argparse

    from _haft_checks import Check
    from _haft_identity import Identity


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
        needed = _haft_checks.needed_python(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refusal(f"mod_wsgi '{path}': {reason}; use --mod-wsgi FILE") from None
    if needed is None:
        return None
    name, version = needed
    ours = _haft_checks.python_version()
    if version != ours:
        raise Refusal(
            f"mod_wsgi '{path}': made for Python {version}, this bundle is for Python {ours}; "
            f"install the mod_wsgi of that Python or build the bundle with -p python{version}"
        )
    if bundled_httpd:
        return None  # its loader looks into the bundle
    own = _haft_checks.own_library(name)
    if own and (own.startswith(ROOT) or sys.prefix.startswith(ROOT)):
        return own  # the bundle brings its Python
    if _haft_checks.host_library(name):
        return None
    if own:
        return own
    raise Refusal(
        f"mod_wsgi '{path}': needs {name}, which is not there; install it (Debian: "
        f"libpython{ours}) or build with --bundle-httpd"
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
    if types_file(directory).startswith(directory):
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
