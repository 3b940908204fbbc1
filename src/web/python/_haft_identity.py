"""The user a server's workers become, and what that user may do."""

from __future__ import annotations

import os

import _haft_checks
from _haft_common import Refusal

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import argparse
    import pwd
    from typing import Iterable

    from _haft_checks import Check


class Identity:
    """A user and a group by number, with their names. `changes`: it is not who we are."""

    def __init__(self, user: str | None, group: str | None) -> None:
        """What --user and --group say; None: not given."""
        self.uid, self.gid = os.geteuid(), os.getegid()
        self.user: str | None = None
        self.group: str | None = None
        if user is not None:
            entry = _user(user)
            self.uid, self.gid, self.user = entry.pw_uid, entry.pw_gid, entry.pw_name
        if group is not None:
            self.gid = _group(group)
            self.group = group
        self.changes = (self.uid, self.gid) != (os.geteuid(), os.getegid())
        if self.changes and os.geteuid() != 0:
            option = "--user" if self.uid != os.geteuid() else "--group"
            raise Refusal(
                f"{option}: only root can become another one; leave it out or start it as root"
            )
        if self.changes and self.user is None:
            raise Refusal("--group: which user?; give --user as well")

    def become(self) -> None:
        """Changes this process. OSError if it cannot, as in a user namespace that has no such
        user."""
        if not self.changes or self.user is None:
            return
        os.setgroups(os.getgrouplist(self.user, self.gid))
        os.setgid(self.gid)
        os.setuid(self.uid)

    def first_problem(self, checks: Iterable[Check]) -> str | None:
        """What the first failing check says when this user runs it; None if all is well.

        A check is a function that returns None or a text. They run in a child: no way leads back to
        root.
        """
        if not self.changes:
            return _haft_checks.first_problem(checks)
        return _haft_checks.first_problem_in_child([self._cannot_become, *checks])

    def _cannot_become(self) -> str | None:
        try:
            self.become()
        except OSError as error:
            return (
                f"user '{self.user}': cannot become it: {error.strerror}; "
                "start the bundle as the host's root"
            )
        return None


def _user(name: str) -> pwd.struct_passwd:
    import pwd

    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    try:
        return pwd.getpwuid(int(name.lstrip("#")))
    except (KeyError, ValueError, OverflowError):
        raise Refusal(
            f"--user {name!a}: there is no such user; see /etc/passwd or create it"
        ) from None


def _group(name: str) -> int:
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        pass
    try:
        return grp.getgrgid(int(name.lstrip("#"))).gr_gid
    except (KeyError, ValueError, OverflowError):
        raise Refusal(
            f"--group {name!a}: there is no such group; see /etc/group or create it"
        ) from None


def usual_checks(options: argparse.Namespace, root: str) -> list[Check]:
    """What every server needs: it can enter the working directory, and read Python and the
    bundle."""

    def working_directory() -> str | None:
        try:
            os.chdir(options.working_directory)
        except OSError as error:
            return (
                f"working directory '{options.working_directory}': {error.strerror}; use "
                f"--working-directory DIR with one {_who()} may "
                "enter, as in "
                "--working-directory /"
            )
        return None

    def readable(what: str, path: str, remedy: str) -> Check:
        def check() -> str | None:
            try:
                with open(path, "rb"):
                    return None
            except OSError as error:
                return f"{what} '{path}': {_who()} cannot read it: {error.strerror}; {remedy}"

        return check

    return [
        working_directory,
        readable("Python", os.__file__, "use a Python in a place that is open to all"),
        readable(
            "mount",
            os.path.join(root, ".haft", "py", "_haft.py"),
            "start the bundle as root or without --user",
        ),
    ]


def _who() -> str:
    import pwd

    try:
        return f"user '{pwd.getpwuid(os.geteuid()).pw_name}'"
    except KeyError:
        return f"user {os.geteuid()}"
