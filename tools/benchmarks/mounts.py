"""Fresh mounts by haft and by others, and what their servers hold in memory."""

import json
import os
import subprocess
import tempfile
import time

from benchmarks.bench import BenchError


class HaftMount:
    """A fresh mount of a bundle by haft."""

    def __init__(self, bench, bundle):
        self.bench = bench
        self.point = tempfile.mkdtemp(prefix="mount-", dir=bench.work)
        bench.call(bench.haft, "mount", bundle, self.point)
        with open(f"{self.point}/.haft/stats", encoding="ascii") as file:
            self.pid = json.load(file)["server"]["pid"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bench.call(self.bench.haft, "umount", self.point)
        os.rmdir(self.point)


class SquashfuseMount:
    """A fresh mount of a squashfs image by squashfuse_ll."""

    def __init__(self, bench, image):
        self.bench = bench
        self.point = tempfile.mkdtemp(prefix="mount-", dir=bench.work)
        self.server = subprocess.Popen(["squashfuse_ll", "-f", image, self.point], env=bench.env,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.server.pid
        deadline = time.monotonic() + 10
        while not os.path.ismount(self.point):
            if time.monotonic() > deadline or self.server.poll() is not None:
                raise BenchError("squashfuse_ll did not mount")
            time.sleep(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bench.call("umount", self.point)
        self.server.wait(10)
        os.rmdir(self.point)


def resident(pid):
    """(resident MB now, most ever)"""
    values = {}
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            values[name] = value.split()
    return tuple(int(values[name][0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
