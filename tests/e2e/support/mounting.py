"""Bundles mounted by `haft mount`: where, until when, and their servers."""

import contextlib
import ctypes
import json
import os
import subprocess

import support
from support import fs_support


def is_mounted(path):
    return any(point == os.fspath(path) for _, point in support.haft_mounts())


def data_bundle(name, files):
    tree = support.unique_dir(name)
    arguments = fs_support.program(tree)
    for file, content in files.items():
        fs_support.put(os.fsencode(tree) + b"/" + file.encode(), content)
    return support.build(
        tree, *arguments, "--no-compile", output=support.unique_dir(name + "-out") / name
    )


def mount_point(test, name):
    """A new directory to mount on; whatever a failed test leaves there goes with the test."""
    point = support.unique_dir(name)

    def clear():
        while (
            is_mounted(point)
            and not subprocess.run(
                ["umount", "-l", point], check=False, stderr=subprocess.DEVNULL
            ).returncode
        ):
            pass

    test.addCleanup(clear)
    return point


class Mounted:
    """A bundle mounted by `haft mount` for a `with` block.

    root is the mount (bytes), tree its site-packages. With server=False nothing of .haft/stats is
    read.
    """

    def __init__(self, file, *options):
        self.file = os.fspath(file)
        self.options = options

    def __enter__(self):
        self.point = support.unique_dir("mnt")
        support.haft("mount", *self.options, self.file, self.point)
        self.root = os.fsencode(self.point)
        self.tree = self.root + b"/site-packages"
        return self

    def __exit__(self, *_):
        done = support.haft("umount", self.point, check=False)
        if done.returncode:
            subprocess.run(["umount", "-l", self.point], check=False, stderr=subprocess.DEVNULL)
        if _[0] is None:
            assert done.returncode == 0, f"haft umount: {done.stderr}"
        with contextlib.suppress(OSError):
            self.point.rmdir()

    def stats(self):
        """The JSON object of .haft/stats."""
        with open(self.root + b"/.haft/stats", "rb") as file:
            return json.loads(file.read())

    def operations(self):
        return self.stats()["operations"]

    def server(self):
        """The server's pid."""
        return self.stats()["server"]["pid"]

    def count(self, action):
        """({operation: number caused by `action`}, its value): what reading the counters costs is
        taken off.

        FORGETs are left out: nobody waits for them, and the kernel sends them when it likes.
        """
        self.operations()
        self.operations()
        first = self.operations()
        second = self.operations()
        value = action()
        third = self.operations()
        names = set(first) | set(second) | set(third)
        cost = {name: second.get(name, 0) - first.get(name, 0) for name in names}
        caused = {name: third.get(name, 0) - second.get(name, 0) - cost[name] for name in names}
        return {
            name: number for name, number in caused.items() if number and "forget" not in name
        }, value


def memory_kb(pid):
    """(resident now, most ever) in KiB."""
    values = {}
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                values[name] = int(value.split()[0])
    return values["VmRSS"], values["VmHWM"]


def forget_names(mount_point):
    """Makes the kernel drop the cached names and inodes of one mount: mounting again as it is does
    that."""
    ms_rdonly, ms_nosuid, ms_nodev, ms_remount = 1, 2, 4, 32
    if ctypes.CDLL(None, use_errno=True).mount(
        None, mount_point, None, ms_remount | ms_rdonly | ms_nosuid | ms_nodev, None
    ):
        raise OSError(ctypes.get_errno(), "remount")
