"""Containers as users have them: without FUSE and without rights, with little memory."""

import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import unittest

import support
from support import running
from support.tools import needs

SECONDS = 30

CODE = "import lab_lazy.m5, lab; print(lab_lazy.m5.VALUE, lab.__file__, os.getpid()); result = 5"


@unittest.skipIf(os.geteuid(), "needs root")
@needs("bwrap")
class TestContainer(support.TestCase):
    """No /dev/fuse, no CAP_SYS_ADMIN, root file system read-only: mode extract."""

    def run_in(self, extra, program):
        command = [
            "bwrap",
            "--unshare-all",
            "--die-with-parent",
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--tmpfs",
            "/tmp",
            "--cap-drop",
            "ALL",
            "--new-session",
            *extra,
            "--",
            *map(str, program),
        ]
        with self.clean(timeout=4.0):
            return support.run(command)

    @support.parametrised(
        extra=[[], ["--as-pid-1"], ["--unshare-user", "--uid", "1234", "--gid", "1234"]]
    )
    def test_extract(self, extra):
        done = self.run_in(extra, [support.lab(), CODE])
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertRegex(
            done.stdout, r"^5 /tmp/haft-\d+/lab-[0-9a-f]{64}/lab/site-packages/lab.py \d+\n$"
        )
        self.assertOneLine(done.stderr, "unpacked into", "mode fusermount")
        if extra == ["--as-pid-1"]:
            self.assertTrue(done.stdout.endswith(" 1\n"), done.stdout)

    def test_nowhere_to_write(self):
        """Everything read-only: one line that says what to give it."""
        done = self.run_in(
            ["--ro-bind", "/proc/self", "/tmp", "--ro-bind", "/proc/self", "/dev/shm"],
            [support.lab(), CODE],
        )
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertOneLine(done.stderr, "mode extract: no place to unpack it", "; ")

    def test_children_survive_pid_1_of_a_shell(self):
        """The program in the background of a shell that is PID 1: reaped and cleaned as
        anywhere."""
        script = (
            f"HAFT_MODE=extract {shlex.join([str(support.lab()), CODE])}; s=$?; sleep 0.5; "
            f"ls /tmp; exit $s"
        )
        done = self.run_in(["--as-pid-1"], ["sh", "-c", script])
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertEqual(done.stdout.count("\n"), 1, done.stdout)


def small_root():
    """A root file system as an image of a container has it; /usr comes from the host."""
    root = support.unique_dir("image")
    for name in ("usr", "etc", "tmp", "var/tmp", "dev", "proc", "sys", "run", "root", "bundle"):
        (root / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in ("passwd", "group", "ld.so.cache", "os-release"):
        shutil.copy(f"/etc/{name}", root / "etc")
    return root


class ContainerCase(support.TestCase):
    """Containers as users have them, of engines that leave their state in /run: it gets an empty
    one."""

    PREPARE = "mount -t tmpfs none /run"

    def contain(self, command):
        script = f"{self.PREPARE}\nexec {shlex.join(map(str, command))}"
        with self.clean(timeout=4.0):
            done = support.run(
                ["unshare", "-m", "sh", "-ec", script],
                env=support.clean_env(HOME=str(support.unique_dir("home"))),
            )
        self.assertEqual(done.returncode, 5, done.stderr)
        return done

    def unpacked(self, done, place, reason):
        self.assertRegex(
            done.stdout, f"^5 {place}/haft-[0-9]+/lab-[0-9a-f]{{64}}/lab/site-packages/lab.py 1\n$"
        )
        self.assertOneLine(done.stderr, "unpacked into", reason)


@unittest.skipIf(os.geteuid(), "needs root")
@needs("podman")
class TestPodman(ContainerCase):
    # crun does not know control groups of versions 1 and 2 together, not even to leave them alone.
    PREPARE = ContainerCase.PREPARE + "\nmount -t tmpfs none /sys/fs/cgroup"

    def podman(self, *options, code=CODE):
        state = support.unique_dir("podman")
        return self.contain(
            [
                "podman",
                "--root",
                state / "root",
                "--runroot",
                state / "run",
                "--storage-driver",
                "vfs",
                "--runtime",
                "crun",
                "--cgroup-manager",
                "cgroupfs",
                "--events-backend",
                "none",
                "run",
                "--rm",
                "--cgroups=disabled",
                "--network=none",
                "--ulimit=nofile=1024:1024",
                "--ulimit=nproc=1000:1000",
                "-v",
                "/usr:/usr:ro",
                "-v",
                f"{support.lab().parent}:/bundle:ro",
                *options,
                "--rootfs",
                small_root(),
                "/bundle/lab",
                code,
            ]
        )

    @support.parametrised(
        options=[
            "",
            "--read-only",
            "--user=1234:1234 --cap-drop=all",
            "--security-opt=no-new-privileges",
        ]
    )
    def test_as_pid_1_without_rights(self, options):
        self.unpacked(self.podman(*options.split()), "/tmp", "no right to mount (CAP_SYS_ADMIN)")

    def test_nothing_to_write_but_shared_memory(self):
        self.unpacked(
            self.podman("--read-only", "--read-only-tmpfs=false"),
            "/dev/shm",
            "fusermount3': has no power (no CAP_SYS_ADMIN)",
        )

    def test_with_fuse_and_the_right_to_mount(self):
        done = self.podman("--device=/dev/fuse", "--cap-add=SYS_ADMIN", "--read-only")
        self.assertEqual(
            (done.stdout, done.stderr), ("5 /run/haft/lab/site-packages/lab.py 1\n", "")
        )

    def test_helper_is_a_child_of_pid_1(self):
        """As every orphan is; the program's own children come and go as anywhere. docs/haft.1 says
        so."""
        code = (
            "import subprocess, lab_lazy.m5\n"
            "print(subprocess.run(['sh', '-c', '(sleep 0.1; exit 3) & exit 4']).returncode, "
            "os.waitpid(-1, os.WNOHANG)); result = 5"
        )
        done = self.podman("--device=/dev/fuse", "--cap-add=SYS_ADMIN", code=code)
        self.assertEqual((done.stdout, done.stderr), ("4 (0, 0)\n", ""))


@unittest.skipIf(os.geteuid(), "needs root")
@needs("systemd-nspawn")
class TestNspawn(ContainerCase):
    def nspawn(self, *options):
        return self.contain(
            [
                "systemd-nspawn",
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--pipe",
                "--resolv-conf=off",
                "--timezone=off",
                f"--directory={small_root()}",
                "--bind-ro=/usr",
                f"--bind-ro={support.lab().parent}:/bundle",
                *options,
                "/bundle/lab",
                CODE,
            ]
        )

    @support.parametrised(
        options=["", "--read-only", "--drop-capability=CAP_SYS_ADMIN", "--no-new-privileges=yes"]
    )
    def test_as_pid_1_without_fuse(self, options):
        self.unpacked(self.nspawn(*options.split()), "/tmp", "mode userns: ")


@unittest.skipIf(os.geteuid(), "needs root")
class TestLittleMemory(support.TestCase):
    """A gigabyte is read while there are 64 MB."""

    CODE = (
        "import hashlib, json\nbase = os.path.dirname(__file__)\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for n in range(8):\n"
        "  h = hashlib.sha256()\n"
        "  with open(f'{base}/part{n}', 'rb') as f:\n"
        "    while data := f.read(1 << 20): h.update(data)\n"
        "  print(h.hexdigest())\n"
        "print(json.load(open('/run/haft/gigabyte/.haft/stats'))['server']['deaths'], "
        "flush=True); sys.stdin.read()"
    )

    def bundle(self):
        """(bundle of 8 files of 128 MB, their digest)"""
        tree = support.write_tree(
            support.unique_dir("gigabyte"), {"gigabyte.py": f"import os, sys\n{self.CODE}\n"}
        )
        digest = hashlib.sha256()
        with open(tree / "part0", "wb") as file:
            for number in range(128):
                data = b"".join(b"%08x" % (number << 20 | i) for i in range(1 << 17))
                digest.update(data)
                file.write(data)
        for number in range(1, 8):
            os.link(tree / "part0", tree / f"part{number}")
        return support.build(
            tree, "-m", "gigabyte", "--no-profile", output=support.unique_dir() / "gigabyte"
        ), digest.hexdigest()

    def reads(self, bundle, digest, mode, prefix):
        with self.clean(), support.start(
            [*prefix, *running.in_mode([bundle], mode)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            (server,) = support.servers()
            process.stdin.write("\n")
            process.stdin.flush()
            lines = [process.stdout.readline().strip() for _ in range(9)]
            peak = int(
                re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{server}/status").read_text())[1]
            )
            process.stdin.close()
            self.assertEqual((lines, process.wait(20)), ([*[digest] * 8, "0"], 0))
        self.assertLess(peak, 64 << 10)

    def test_gigabyte_within_64_MB(self):
        """… as a control group counts, with the page cache of what is read; and as RLIMIT_DATA does
        for every process."""
        bundle, digest = self.bundle()
        self.reads(bundle, digest, support.MODES[-1], ["prlimit", f"--data={64 << 20}"])
        group, limit = memory_group()
        group.mkdir()
        try:
            (group / limit).write_text(str(64 << 20))
            for mode in support.MODES:
                self.reads(
                    bundle, digest, mode, ["sh", "-c", 'echo $$ >$0/cgroup.procs; exec "$@"', group]
                )
        finally:
            support.wait_until(lambda: not (group / "cgroup.procs").read_text(), 3)
            group.rmdir()


def memory_group():
    """A control group that does not exist yet, and the name of its file for the limit."""
    top = pathlib.Path("/sys/fs/cgroup")
    name = f"haft-e2e-{os.getpid()}"
    if (top / "memory").is_dir():
        return top / "memory" / name, "memory.limit_in_bytes"
    if (
        not (top / "cgroup.controllers").is_file()
        or "memory" not in (top / "cgroup.controllers").read_text()
    ):
        raise unittest.SkipTest("no control group of memory")
    (top / "cgroup.subtree_control").write_text("+memory")
    return top / name, "memory.max"
