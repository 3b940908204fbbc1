"""Is everything gone? Mounts in any namespace, processes, changes of the host's mount table.

Under run.py every worker is in a pid and a mount namespace of its own whose mounts are shared like
those of a systemd host: what a test sees is its own, and a mount that leaked from the bundle's
namespace would show.
"""

import os
import re
import select
import signal
import time

_ESCAPED = re.compile(r"\\([0-7]{3})")


def wait_until(condition, timeout=5.0, interval=0.01):
    """Polls until condition() is true; returns its last value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(interval)
    return value


def _pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def mount_table(pid="self"):
    """The lines of a process's mountinfo; empty if the process is gone."""
    try:
        with open(f"/proc/{pid}/mountinfo", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []


def mount_fields(line):
    """(device, mount point, type, options) of a mountinfo line."""
    left, _, right = line.partition(" - ")
    fields = left.split()
    point = _ESCAPED.sub(lambda m: chr(int(m[1], 8)), fields[4])
    return fields[2], point, right.split()[0], f"{fields[5]},{right.split()[-1]}"


def haft_mounts():
    """{(device, mount point)} of all FUSE mounts in the mount namespaces of all processes."""
    found = set()
    seen = set()
    for pid in _pids():
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
        except OSError:
            continue  # gone, or another user's
        if namespace in seen:
            continue
        lines = mount_table(pid)
        if lines:
            seen.add(namespace)
        for line in lines:
            device, point, kind, _ = mount_fields(line)
            if kind == "fuse" or kind.startswith("fuse."):
                found.add((device, point))
    return found


def process_name(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def state(pid):
    """The state letter of /proc/PID/stat; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


HELPERS = (
    "haft-server",
    "haft-supervisor",
    "haft-prefetch",
    "haft-host-files",
    "haft-cleanup",
    "haft-mount",
)


def servers():
    """The pids of all living haft-server processes."""
    return {
        pid
        for pid in _pids()
        if process_name(pid) == "haft-server" and state(pid) not in (None, "Z", "X")
    }


def is_bundle(path):
    """Does the file end with the trailer of a haft image?"""
    try:
        with open(path, "rb") as file:
            file.seek(-256, os.SEEK_END)
            return file.read(8) == b"\x7fHAFTEND"
    except OSError:
        return False


def haft_processes():
    """The pids of all living processes of ours: helpers, by name, and whatever still executes a
    bundle."""
    return {
        pid
        for pid in _pids()
        if (process_name(pid) in HELPERS or is_bundle(f"/proc/{pid}/exe"))
        and state(pid) not in (None, "Z", "X")
    }


class MountWatch:
    """Tells whether this process's mount table has changed at any time since it was made."""

    def __init__(self):
        self._file = open("/proc/self/mountinfo")  # noqa: SIM115  # lives as long as this
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLERR | select.POLLPRI)

    def changed(self):
        """True if the kernel reports a change since the last call."""
        return bool(self._poll.poll(0))

    def close(self):
        self._file.close()


class Clean:
    """Context: at its end, within `timeout`, no mount and no process is left that was not there
    before.

    With quiet_host (the default) the host's mount table must not have changed at any time in
    between, not even for a moment. In an isolated worker, where all processes are the test's own,
    leftovers are killed, so that the next test starts fresh.
    """

    def __init__(self, timeout=2.0, quiet_host=True):
        self.timeout = timeout
        self.quiet_host = quiet_host

    def __enter__(self):
        self._mounts = haft_mounts()
        self._processes = haft_processes()
        self._table = mount_table()
        self._watch = MountWatch()
        return self

    def _left(self):
        return haft_processes() - self._processes, haft_mounts() - self._mounts

    def _gone(self):
        # Two looks: while one reads the list, a process that it has passed may fork and end.
        return self._left() == (set(), set()) == self._left()

    def __exit__(self, kind, failure, trace):
        host_changed = self._watch.changed()
        self._watch.close()
        processes, mounts = (set(), set()) if wait_until(self._gone, self.timeout) else self._left()
        described = [f"{pid} ({process_name(pid)}, {state(pid)})" for pid in sorted(processes)]
        for pid in processes if os.environ.get("E2E_ISOLATED") else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if failure is not None:
            return
        assert not described and not mounts, (
            f"left after {self.timeout} s: processes {described}, mounts {sorted(mounts)}"
        )
        table = mount_table()
        assert table == self._table, (
            f"the host's mount table is not as before: more "
            f"{sorted(set(table) - set(self._table))}, "
            f"less {sorted(set(self._table) - set(table))}"
        )
        assert not (self.quiet_host and host_changed), "the host's mount table changed in between"
