"""Refuses starts of mod_wsgi's servers that would hang or fail in words about something else.

Looked at: may the user of the workers enter the working directory and read Python's own files (else
no request is ever answered), and is libpython there, which httpd would report as a wrong LoadModule
line.
"""

import os
import sys

import _haft_checks

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


def _as_user(user: str, group: "str | None") -> "_haft_checks.Check | None":
    """A check that becomes the user; None if there is no such user or group."""
    import grp
    import pwd

    try:
        account = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid if group else account.pw_gid
    except KeyError:
        return None  # mod_wsgi and httpd have words of their own for that

    def become() -> None:
        try:
            os.initgroups(user, gid)
            os.setgid(gid)
            os.setuid(account.pw_uid)
        except OSError:
            pass  # so has httpd

    return become


def _readable(directory: str, problem: str) -> "_haft_checks.Check":
    return lambda: None if os.access(directory, os.R_OK | os.X_OK) else problem


def _missing_library(package: "types.ModuleType") -> "str | None":
    """The libpython that mod_wsgi's Apache module needs and nothing has; None if all is well."""
    server = os.path.join(os.path.dirname(package.__file__ or ""), "server")
    for file in os.listdir(server):
        if file.startswith("mod_wsgi-py") and file.endswith(".so"):
            break
    else:
        return None
    try:
        needed = _haft_checks.needed_python(os.path.join(server, file))
    except ValueError:
        return None  # httpd has words of its own for that
    if needed is None or needed[1] != _haft_checks.python_version():
        return None
    name = needed[0]
    return None if _haft_checks.own_library(name) or _haft_checks.host_library(name) else name


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
    become = _as_user(user, _option("--group"))
    if become is None:
        return None
    python = os.path.dirname(os.__file__)
    checks = [
        become,
        _readable(
            python,
            f"user '{user}' may not read '{python}', where this Python is; "
            "use one that everybody may read",
        ),
    ]
    working = _option("--working-directory")
    if working is None and sys.argv[1:2] != ["runmodwsgi"]:  # which has a default of its own
        working = os.getcwd()
    if working is not None:
        working = os.path.abspath(working)
        checks.append(
            _readable(
                working,
                f"user '{user}' may not enter the working directory '{working}'; "
                "add --working-directory /",
            )
        )
    return _haft_checks.first_problem_in_child(checks)
