"""Running a program in another root file system, as a host of its own would: pivot_root in a
private mount namespace, not chroot, which the kernel treats differently."""

import ctypes
import os
import pathlib
import shutil
import stat
import subprocess

from support import paths
from support.people import PERSON

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH = 2
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]

BUSYBOX = "/bin/busybox"


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _mount(source, target, kind, flags, data=None):
    _check(
        _LIBC.mount(
            source and os.fsencode(source),
            os.fsencode(target),
            kind and kind.encode(),
            flags,
            data and data.encode(),
        ),
        f"mount {target}",
    )


def enter(root, user=None, session=False):
    """For preexec_fn, as root: makes `root` the root of this process, with /proc, and becomes
    `user`."""

    def enter_now():
        if session:
            os.setsid()
        _check(_LIBC.unshare(_CLONE_NEWNS), "unshare")
        _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        _mount(root, root, None, _MS_BIND | _MS_REC)
        os.chdir(root)
        _mount("proc", "proc", "proc", 0)
        _check(_LIBC.syscall(_SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
        _check(_LIBC.umount2(b".", _MNT_DETACH), "umount")
        os.chdir("/")
        if user is not None:
            user.become(groups=[])  # the root has accounts of its own, and no such groups

    return enter_now


def add_devices(root):
    """/dev with what programs expect, and /dev/fuse for everybody."""
    devices = root / "dev"
    (devices / "shm").mkdir(parents=True, exist_ok=True)
    os.chmod(devices / "shm", 0o1777)
    for name, major, minor in [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
        ("fuse", 10, 229),
    ]:
        path = devices / name
        if not path.exists():
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        os.chmod(path, 0o666)


def busybox_root():
    """A new root file system with busybox and nothing else: no C library, no /etc but accounts."""
    root = paths.unique_dir("root")
    for name in ("bin", "etc", "proc", "dev", "root", "run", "usr", "var/www"):
        (root / name).mkdir(parents=True)
    (root / "tmp").mkdir()
    os.chmod(root / "tmp", 0o1777)
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    for name in ("sh", "ls", "cat"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/:/bin/sh\n"
        f"{PERSON.name}:x:{PERSON.uid}:{PERSON.gid}::/tmp:/bin/sh\n"
    )
    (root / "etc" / "group").write_text("root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n")
    add_devices(root)
    return root


def put(root, *files):
    """Copies files into /opt of the root; returns their paths there."""
    (root / "opt").mkdir(exist_ok=True)
    for file in files:
        shutil.copy(file, root / "opt")
    return [f"/opt/{pathlib.Path(file).name}" for file in files]


def run(root, command, *, user=None, env=None, timeout=60):
    """Runs to the end; returns a CompletedProcess."""
    return subprocess.run(
        command,
        check=False,
        preexec_fn=enter(root, user),
        text=True,
        capture_output=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env=env or {"PATH": "/bin:/usr/bin", "HOME": "/root"},
    )


def session(leader):
    """The pids of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == leader:
                    found.append(int(name))
            except OSError:
                pass
    return found


def foreign_maps(pid, mount):
    """The files that a process maps and that are not in the mount. Memory without a file on disk
    does not count."""
    with open(f"/proc/{pid}/maps") as file:
        maps = {line.split(None, 5)[5].strip() for line in file if len(line.split()) > 5}
    return {
        path
        for path in maps
        if path.startswith("/")
        and not path.startswith((mount + "/", "/dev/zero", "/dev/shm", "/SYSV", "/memfd:"))
        and not path.endswith(" (deleted)")
    }
