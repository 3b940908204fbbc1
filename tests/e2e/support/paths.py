"""Where things are: the repository, the haft to test, the Python of the tests, scratch
directories."""

import atexit
import os
import pathlib
import select
import shutil
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[3]
HAFT = os.path.abspath(os.environ.get("HAFT") or REPO / "build" / "haft")
PYTHON = "/usr/bin/python3"  # the one Debian's modules belong to, whatever PATH says

# Set for all workers of a run, so that trees and bundles are built once per run.
SHARED = "E2E_SCRATCH"


def make_scratch():
    """A new directory for one run. Not below /tmp, which may be a small tmpfs; open to other
    users."""
    parent = os.environ.get("HAFT_TEST_TMP") or "/var/tmp"
    os.makedirs(parent, exist_ok=True)
    path = tempfile.mkdtemp(prefix="haft-e2e-", dir=parent)
    os.chmod(path, 0o755)
    return path


def share_scratch():
    """Gives all workers that one process starts, as `meson test` does, the same scratch directory.
    It goes when that process ends."""
    if os.environ.get(SHARED):
        return
    owner = os.getppid()
    watched = os.pidfd_open(owner)
    parent = os.environ.get("HAFT_TEST_TMP") or "/var/tmp"
    # Bundles of one haft are not taken for those of another, should the owner be a shell.
    built = os.stat(HAFT).st_mtime_ns
    path = os.environ[SHARED] = f"{parent}/haft-e2e-{os.geteuid()}-{owner}-{built}"
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        if os.lstat(path).st_uid != os.geteuid():
            raise
        return
    if os.fork():
        return
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    select.select([watched], [], [])
    remove_scratch(path)
    os._exit(0)


def remove_scratch(path):
    """Removes it with all in it, also unreadable directories and odd names."""
    for directory, names, _ in os.walk(os.fsencode(path)):
        for name in names:
            below = os.path.join(directory, name)
            if not os.path.islink(below):
                os.chmod(below, 0o700)
    shutil.rmtree(os.fsencode(path), ignore_errors=True)


def scratch():
    """The scratch directory of this run (a pathlib.Path)."""
    path = os.environ.get(SHARED)
    if not path:
        path = os.environ[SHARED] = make_scratch()
        if not os.environ.get("E2E_KEEP"):
            owner = os.getpid()
            atexit.register(lambda: os.getpid() == owner and remove_scratch(path))
    return pathlib.Path(path)


def unique_dir(name="t", mode=0o755):
    """A new empty directory below scratch(), removed with it."""
    path = tempfile.mkdtemp(prefix=f"{name}-", dir=scratch())
    os.chmod(path, mode)
    return pathlib.Path(path)
