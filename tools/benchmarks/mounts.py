"""Fresh mounts by haft and by others, and what their servers hold in memory. Each is a context with
`point`, the directory, and `pid`, the server's (None for the kernel's)."""

import json
import os
import shutil
import subprocess
import tempfile
import time

from benchmarks.bench import BenchError


class Mount:
    pid: int | None = None

    def __init__(self, bench):
        self.bench = bench
        self.point = tempfile.mkdtemp(prefix="mount-", dir=bench.work)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unmount()
        os.rmdir(self.point)

    def unmount(self):
        self.bench.call("umount", self.point)


class HaftMount(Mount):
    def __init__(self, bench, bundle):
        super().__init__(bench)
        bench.call(bench.haft, "mount", bundle, self.point)
        self.pid = self.stats()["server"]["pid"]

    def stats(self):
        with open(f"{self.point}/.haft/stats", encoding="ascii") as file:
            return json.load(file)

    def unmount(self):
        self.bench.call(self.bench.haft, "umount", self.point)


class SquashfuseMount(Mount):
    def __init__(self, bench, image):
        super().__init__(bench)
        self.server = subprocess.Popen(
            ["squashfuse_ll", "-f", image, self.point],
            env=bench.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self.server.pid
        deadline = time.monotonic() + 10
        while not os.path.ismount(self.point):
            if time.monotonic() > deadline or self.server.poll() is not None:
                raise BenchError("squashfuse_ll did not mount")
            time.sleep(0.002)

    def unmount(self):
        super().unmount()
        self.server.wait(10)


class KernelMount(Mount):
    """The kernel's squashfs on a loop device. A buffered loop device reads the image from the page
    cache, as the servers of the others do; a direct one reads it from the disk each time."""

    def __init__(self, bench, image, direct=False):
        super().__init__(bench)
        device = bench.call(
            "losetup",
            "--find",
            "--show",
            "--read-only",
            f"--direct-io={'on' if direct else 'off'}",
            image,
        ).strip()
        try:
            with open(f"/sys/block/{os.path.basename(device)}/loop/dio", encoding="ascii") as file:
                if (file.read().strip() == "1") != direct:
                    raise BenchError(
                        f"{device}: cannot be {'direct' if direct else 'buffered'} on this "
                        f"file system"
                    )
            bench.call("mount", "-t", "squashfs", "-o", "ro", device, self.point)
        finally:
            bench.call("losetup", "-d", device)  # as soon as it is not mounted any more


def peers(bench):
    """Names of the others that can be measured here; what is missing is named, and fails under
    --check."""
    if not bench.has("mksquashfs", "squashfs-tools", "squashfs"):
        return []
    found = []
    if bench.has("squashfuse_ll", "squashfuse", "squashfuse_ll"):
        found.append("squashfuse_ll")
    with open("/proc/filesystems", encoding="ascii") as file:
        if "\tsquashfs\n" in file.read():
            found.append("kernel squashfs")
        else:
            bench.left_out("this kernel has no squashfs")
    return found


def squashfs(bench, name, directory, again=True):
    """An image of a directory as squashfs, with the codec and the block size of haft; one that is
    there is made again only if the directory may have changed."""
    image = bench.work / f"{name}.squashfs"
    if image.exists() and not again:
        return image
    new = image.with_suffix(".new")
    new.unlink(missing_ok=True)
    bench.progress.show(f"making {image.name} …")
    bench.call(
        "mksquashfs",
        directory,
        new,
        "-comp",
        "lz4",
        "-Xhc",
        "-b",
        "131072",
        "-no-progress",
        "-no-xattrs",
    )
    shutil.move(new, image)
    return image


def mount_peer(bench, name, image):
    return SquashfuseMount(bench, image) if name == "squashfuse_ll" else KernelMount(bench, image)


def resident(pid):
    """(resident MB now, most ever)"""
    values = {}
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            values[name] = value.split()
    return tuple(int(values[name][0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))


def cpu_time(pid):
    """Nanoseconds that the threads of a server have run."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total
