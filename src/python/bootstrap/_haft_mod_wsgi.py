"""Refuses starts of mod_wsgi's servers that would hang or fail in words about something else.

Looked at: may the user of the workers enter the working directory and read Python's own files (else
no request is ever answered), and is libpython there, which httpd would report as a wrong LoadModule
line.
"""

import os
import sys

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import types

_COMMANDS_WITHOUT_SERVER = (
    "-h",
    "--help",
    "install-module",
    "module-config",
    "module-location",
    "x-debug-log",
)


def _option(name: str) -> "str | None":
    """The last value of --NAME in the program's arguments; None if it is not there."""
    value = None
    words = sys.argv[1:]
    for index, word in enumerate(words):
        if word == name and index + 1 < len(words):
            value = words[index + 1]
        elif word.startswith(name + "="):
            value = word[len(name) + 1 :]
    return value


def _first_unreadable(user: str, group: "str | None", directories: "list[str]") -> "str | None":
    """The first of the directories that `user` may not enter, found out by becoming that user in a
    child."""
    import grp
    import pwd

    try:
        account = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid if group else account.pw_gid
    except KeyError:
        return None  # mod_wsgi and httpd have words of their own for that
    child = os.fork()
    if child == 0:
        status = 0
        try:
            os.initgroups(user, gid)
            os.setgid(gid)
            os.setuid(account.pw_uid)
            for number, directory in enumerate(directories, 1):
                if not os.access(directory, os.R_OK | os.X_OK):
                    status = number
                    break
        except BaseException:
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1] >> 8
    return directories[status - 1] if 0 < status <= len(directories) else None


def _missing_library(package: "types.ModuleType") -> "str | None":
    """The libpython that mod_wsgi's Apache module needs and the loader does not find; None if all
    is well."""
    name = "libpython{}.{}.so.1.0".format(*sys.version_info[:2])
    server = os.path.join(os.path.dirname(package.__file__ or ""), "server")
    modules = [
        file
        for file in os.listdir(server)
        if file.startswith("mod_wsgi-py") and file.endswith(".so")
    ]
    if not modules:
        return None
    with open(os.path.join(server, modules[0]), "rb") as file:
        if name.encode() not in file.read():
            return None
    import _ctypes

    try:
        _ctypes.dlopen(name, 0)
    except OSError:
        return name
    return None


def problem() -> "str | None":
    """Why the server must not be started, as one line; None: it may."""
    if sys.argv[1:2] and sys.argv[1] in _COMMANDS_WITHOUT_SERVER:
        return None
    package = sys.modules.get("mod_wsgi")
    library = _missing_library(package) if package is not None else None
    if library:
        return (
            "mod_wsgi needs {}, which this host does not have; install {} or build with "
            "--bundle-python".format(library, library.partition(".so")[0])
        )
    user = _option("--user")
    if user is None or os.geteuid() != 0:
        return None
    directories = [os.path.dirname(os.__file__)]
    working = _option("--working-directory")
    if working is None and sys.argv[1:2] != ["runmodwsgi"]:  # which has a default of its own
        working = os.getcwd()
    if working is not None:
        directories.append(os.path.abspath(working))
    directory = _first_unreadable(user, _option("--group"), directories)
    if directory is None:
        return None
    if directory == directories[0]:
        return (
            f"user '{user}' may not read '{directory}', where this Python is; use one that "
            f"everybody may read"
        )
    return (
        f"user '{user}' may not enter the working directory '{directory}'; add "
        f"--working-directory /"
    )
