"""Who runs the programs of the tests: root, an ordinary user, and one who is a number alone.

PERSON is what people are: a uid far from 65534, an account, several groups, a home. To a kernel
that shows ids it does not know as 65534, files of root look like NUMBER's own: what is wrong for
an ordinary user only cannot be seen as NUMBER.

The account is in copies of /etc/passwd, /etc/group and /etc/shadow that an isolated worker binds
over them, in its own mount namespace: the host knows nothing of it.
"""

import dataclasses
import functools
import os
import pathlib
import shutil
import subprocess

from support import paths


@dataclasses.dataclass(frozen=True)
class User:
    name: str
    uid: int
    gid: int
    groups: tuple = ()  # and these: numbers

    def __str__(self):
        """In the name of a test that has a user as its parameter."""
        return self.name

    def drop(self, *options):
        """The words in front of a command of root that run it as this user."""
        if self.uid == 0:
            return []
        groups = f"--groups={','.join(map(str, self.groups))}" if self.groups else "--clear-groups"
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", groups, *options, "--"]

    def become(self, groups=None):
        """For preexec_fn of root. `groups`: other supplementary groups than those of the
        account."""
        os.setgroups(self.groups if groups is None else groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)

    def own(self, path):
        """Gives it a file or directory; returns its path."""
        os.chown(path, self.uid, self.gid)
        return path

    def environment(self):
        """What a log-in adds to the environment."""
        return {"HOME": str(self.home()), "USER": self.name, "LOGNAME": self.name}

    def home(self):
        return _home(self)


@functools.cache
def _home(user):
    return user.own(paths.unique_dir(f"home-{user.name}", 0o700))


ROOT = User("root", 0, 0)
# groups: users, which Debian has, and two of the tests'.
PERSON = User("person", 1729, 1729, (100, 1730, 1731))
NUMBER = User("number", 65534, 65534)
_GROUP_NAMES = {1729: "person", 100: "users", 1730: "authors", 1731: "e2e-readers"}


def _with_account(file, lines, taken):
    """Binds a copy of /etc/`file` over it, with `lines` instead of those that are `taken`."""
    original = pathlib.Path("/etc", file)
    kept = [line for line in original.read_text().splitlines() if not taken(line.split(":"))]
    copy = paths.unique_dir("etc") / file
    shutil.copy2(original, copy)
    os.chown(copy, original.stat().st_uid, original.stat().st_gid)
    copy.write_text("\n".join([*kept, *lines, ""]))
    subprocess.run(["mount", "--bind", copy, original], check=True)


def make_account():
    """Gives PERSON an account, groups and a home. As root, in a mount namespace of one's own."""
    user = f"{PERSON.name}:x:{PERSON.uid}:{PERSON.gid}:An ordinary person:{PERSON.home()}:/bin/sh"
    _with_account(
        "passwd", [user], lambda words: words[0] == PERSON.name or words[2:3] == [str(PERSON.uid)]
    )
    groups = [
        f"{name}:x:{gid}:{PERSON.name if gid in PERSON.groups else ''}"
        for gid, name in _GROUP_NAMES.items()
    ]
    _with_account(
        "group",
        groups,
        lambda words: (
            words[0] in _GROUP_NAMES.values() or words[2:3] in [[str(gid)] for gid in _GROUP_NAMES]
        ),
    )
    if os.path.exists("/etc/shadow"):  # su and sudo ask there whether it has expired
        _with_account(
            "shadow", [f"{PERSON.name}:*:19000:0:99999:7:::"], lambda words: words[0] == PERSON.name
        )
