"""kill -9 of the program, the server, the supervisor, other helpers or all of them, at eight
moments of a bundle's life: nothing stays behind, and a program that lives goes on, or gets an error
at once."""

import hashlib
import os
import random
import signal
import subprocess
import time
import unittest

import support
from support.stops import Hook, StoppedStart

SECONDS = 25
RUNS = 20 if support.LONG else 4
AT_ONCE = 4
CLEAN_SECONDS = 2.0

# Reads some files, prints their checksum and ends.
ONCE = """
import hashlib, lab
base, sums = os.path.dirname(lab.__file__), hashlib.sha256()
for name in NAMES:
    with open(f"{base}/{name}", "rb") as file:
        sums.update(file.read())
print(sums.hexdigest())
"""
NAMES = [f"lab_lazy/m{i}.py" for i in range(0, 200, 20)] + ["lab_data/big.bin"]

# Uses the mount without pause: imports, reads, stats. Ends with status 3 at the first error, with 0
# when its input ends.
BUSY = """
import threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
base = os.path.dirname(sys.modules["lab"].__file__)
print("ready", flush=True)
while True:
    for i in range(200):
        try:
            __import__(f"lab_lazy.m{i}")
            with open(base + "/lab_data/big.bin", "rb") as file:
                file.seek(i * 4096 % 1000000)
                file.read(100)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            os.stat(f"{base}/missing{time.monotonic()}")
        except FileNotFoundError:
            pass
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(3)
"""

# The moments, each just after a system call, in the order in which they come; who is stopped there
# is said behind.
_COMMON = {
    "exec": Hook("execve", name="program", text="python"),
    "first read": Hook(
        "read", name="haft-server"
    ),  # the server, which has a request and has not answered it
    "steady": Hook("write", name="program", text="ready", stop=False),  # nobody
}
PRIVATE = {  # the program, or the child that builds its user namespace
    "open /dev/fuse": Hook("openat", text="^/dev/fuse$"),
    "fork": Hook("fork", holds="/dev/fuse"),
    "private directory": Hook("mount", text="^tmpfs$"),
    "mount": Hook("mount", text="^fuse"),
    **_COMMON,
    "unmount": Hook(
        "read", name="haft-server", fails=19
    ),  # the server, to which the kernel has said ENODEV
}
FUSERMOUNT = {
    "private directory": Hook("mkdirat", text="^lab-[0-9a-f]{32}$"),  # the program
    "open /dev/fuse": Hook("openat", name="fusermount3", text="^/dev/fuse$"),
    "mount": Hook("mount", text="^fuse"),  # fusermount3
    "fork": Hook("fork", holds="/dev/fuse"),  # the program
    **_COMMON,
    "unmount": Hook(
        "umount2", name="haft-cleanup", fails=1
    ),  # the cleanup process, who now has to call fusermount3
}
HOOKS = {
    # Root covers nothing: it looks for the mount that carries the directory.
    "namespace": {**PRIVATE, "private directory": Hook("openat", text="^/run/haft/lab$")},
    "userns": PRIVATE,
    "fusermount": FUSERMOUNT,
}
ALL = [*list(_COMMON), "unmount"]
# From which moment on there is somebody to kill; the program has ended when the unmounting begins.
# "stopped" is whoever is at the hook and is none of the others.
VICTIMS = {
    "namespace": {
        "program": list(PRIVATE)[:-1],
        "supervisor": list(PRIVATE)[1:],
        "server": ALL,
        "supervisor+server": ALL,
        "all": list(PRIVATE)[:-1],
    },
    "fusermount": {
        "program": list(FUSERMOUNT)[:-1],
        "supervisor": list(FUSERMOUNT)[3:],
        "server": ALL,
        "supervisor+server": ALL,
        "cleanup process": list(FUSERMOUNT)[1:],
        "stopped": ["open /dev/fuse", "mount"],
        "all": list(FUSERMOUNT),
    },
}
VICTIMS["userns"] = {**VICTIMS["namespace"], "stopped": list(PRIVATE)[:4]}


def digest():
    return (
        hashlib.sha256(
            b"".join((support.lab_tree() / name).read_bytes() for name in NAMES)
        ).hexdigest()
        + "\n"
    )


def kill(*pids):
    """They are dead when it returns, but for those that wait for an answer of a server that is
    stopped."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    support.wait_until(
        lambda: all(support.state(pid) in (None, "Z", "X") for pid in pids), 0.1, 0.0005
    )


class Start(StoppedStart):
    """One bundle, started through a name of its own, by which its processes are known."""

    def __init__(self, path, haft_mode, hook):
        self.path = str(path)
        code = BUSY if hook == "steady" else ONCE.replace("NAMES", repr(NAMES))
        super().__init__(
            [path, code],
            HOOKS[haft_mode][hook],
            user=None if haft_mode == "namespace" else support.PERSON,
            env=support.clean_env(HAFT_MODE=haft_mode),
        )

    def processes(self, name=None):
        """Pids of its processes, all or of a name, that have not executed anything else."""
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe") == self.path and name in (
                    None,
                    support.clean.process_name(pid),
                ):
                    found.add(int(pid))
            except OSError:
                pass
        return found

    def kill(self, victim, stopped):
        if victim == "all":
            kill(self.pid, stopped)
            while pids := self.processes():
                kill(*pids)
            return
        pids = {"program": [self.pid], "stopped": [stopped]}.get(victim, [])
        for role in victim.split("+") if not pids else ():
            found = support.wait_until(lambda: self.processes(f"haft-{role.split()[0]}"), 2, 0.0005)
            assert found, f"no {role}"
            pids += found
        kill(*pids)


@unittest.skipIf(os.geteuid(), "needs root")
class KillCase(support.TestCase):
    seconds = 120
    AT_ONCE = AT_ONCE

    def setUp(self):
        directory = support.unique_dir(mode=0o755)
        self.paths = [directory / f"lab{i}" for i in range(self.AT_ONCE)]
        for path in self.paths:
            os.link(support.lab(), path)
        self.random = random.Random(4)

    def some(self, victim, hook, haft_mode):
        """AT_ONCE starts at that moment; the victims are killed, and whoever was stopped goes
        on."""
        starts = [Start(path, haft_mode, hook) for path in self.paths]
        for start in starts:
            self.addCleanup(start.close)
        for start in starts:
            pid = start.wait()
            if hook == "steady":
                time.sleep(self.random.random() / 50)
            start.kill(victim, pid)
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        time.sleep(0.05 if hook == "steady" else 0)
        # Without a server the program sees it and ends by itself.
        return [start.end(close_input=victim != "supervisor+server") for start in starts]

    def check(self, victim, hook, result):
        status, out, errors = result
        early = hook not in ALL
        if hook == "unmount":  # the program had ended
            self.assertEqual(result, (0, digest(), ""))
        elif victim in ("program", "all"):
            self.assertEqual((status, errors), (-signal.SIGKILL, ""))
        elif victim == "stopped" or (victim == "supervisor" and early):
            self.assertEqual((status, out), (125, ""), errors)
            self.assertOneLine(errors)
        elif victim == "supervisor+server" or (
            victim == "supervisor" and hook == "exec" and status
        ):
            # There may not have been a server yet when the supervisor was killed: the same, an
            # error at once.
            self.assertIn(status, (1, 2, 3, 125), errors)
            # ECONNABORTED is what a request gets that was under way.
            self.assertRegex(errors, r"\b(107|103)\b|can't open file")
        else:
            self.assertEqual(result, (0, "ready\n" if hook == "steady" else digest(), ""))

    def cell(self, victim, hook, haft_mode):
        for _ in range(0, RUNS, AT_ONCE):
            with self.subTest(hook=hook, victim=victim, haft_mode=haft_mode):
                with self.clean(CLEAN_SECONDS, quiet_host=haft_mode != "fusermount"):
                    results = self.some(victim, hook, haft_mode)
                for result in results:
                    self.check(victim, hook, result)
            self.doCleanups()


class TestPrivate(KillCase):
    @support.parametrised(
        haft_mode=["namespace", "userns"],
        victim=["program", "supervisor", "server", "supervisor+server", "all"],
    )
    def test_killed(self, haft_mode, victim):
        for hook in VICTIMS[haft_mode][victim]:
            self.cell(victim, hook, haft_mode)

    def test_killed_child_that_mounts(self):
        for hook in VICTIMS["userns"]["stopped"]:
            self.cell("stopped", hook, "userns")

    def test_next_start_is_unaffected(self, mode):
        self.some("supervisor+server", "steady", mode)
        with self.clean():
            self.assertEqual(support.run([support.lab(), "result = 3"], mode=mode).returncode, 3)


class TestFusermount(KillCase):
    """The same in the mode that uses a mount of the host: the cleanup process unmounts. Where
    none is left, the next start does."""

    PLACE = f"/tmp/haft-{support.PERSON.uid}"
    AT_ONCE = 1  # the others would wait for the one that is stopped while it mounts

    @classmethod
    def setUpClass(cls):
        # Of our own: starts of other tests would sweep, too.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp"], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", "/tmp"], check=True)

    def cell(self, victim, hook, haft_mode="fusermount"):
        if victim in ("cleanup process", "all") or (victim, hook) == (
            "program",
            "private directory",
        ):
            self.entry_that_is_swept(victim, hook)
        else:
            super().cell(victim, hook, haft_mode)
            self.assertGone(hook)

    def entry_that_is_swept(self, victim, hook):
        for _ in range(0, RUNS, AT_ONCE):
            with self.subTest(hook=hook, victim=victim):
                for result in self.some(victim, hook, "fusermount"):
                    self.check(victim, hook, result)
                if victim == "all":
                    self.assertEqual(support.haft_processes(), set())
                self.assertTrue(os.listdir(self.PLACE))
                done = support.run(
                    [support.lab(), "result = 3"],
                    mode="userns",
                    env=support.clean_env(HAFT_MODE="fusermount"),
                )
                self.assertEqual((done.returncode, done.stderr), (3, ""))
                self.assertGone(hook)
            self.doCleanups()

    def assertGone(self, hook):
        def left():
            return [
                *(point for _, point in support.haft_mounts() if point.startswith(self.PLACE)),
                *support.haft_processes(),
                *([self.PLACE] if os.path.exists(self.PLACE) else []),
            ]

        support.wait_until(lambda: not left(), CLEAN_SECONDS)
        self.assertEqual(left(), [], hook)

    @support.parametrised(victim=VICTIMS["fusermount"])
    def test_killed(self, victim):
        for hook in VICTIMS["fusermount"][victim]:
            self.cell(victim, hook)
