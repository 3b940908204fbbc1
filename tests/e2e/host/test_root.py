"""What a program of root's sees of `/` and of the mount table is what it would see without haft,
and one mount more."""

import contextlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import unittest

import support
from support.host import HostCase, asked, plain

SECONDS = 25

MOUNT = "/run/haft/rootlab"  # files of other tests start the lab meanwhile
TABLE = (
    "sorted(line.split()[3:6] for line in open('/proc/self/mountinfo') if 'fuse.haft' not in line)"
)


def rootlab():
    return support.app(
        "rootlab",
        {
            "rootlab.py": "import os, sys\ndef main(): exec(sys.argv[1])",
            "one.py": "VALUE = 1",
            "two.py": "VALUE = 2",
        },
        *("-e", "rootlab:main"),
    )


@contextlib.contextmanager
def below_root(name):
    """A directory of the host directly below `/`, for this test."""
    path = pathlib.Path("/", name)
    if path.exists():
        raise unittest.SkipTest(f"the host has {path}")
    path.mkdir(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@unittest.skipIf(os.geteuid(), "needs root")
class TestRootDirectory(HostCase):
    def same(self, *expressions, **options):
        """Each has the same value in the plain program and in the bundle; the values."""
        found = []
        for command in (plain(), [rootlab()]):
            with self.clean(quiet_host=False), asked(command, "namespace", **options) as ask:
                found.append([ask(expression) for expression in expressions])
        self.assertEqual(found[0], found[1])
        return found[1]

    def test_device_size_and_mount_table(self):
        table = self.same(
            TABLE,
            "os.stat('/').st_dev, os.stat('/').st_ino, os.stat('/..').st_ino",
            "os.statvfs('/').f_blocks, os.statvfs('/').f_flag",
            "[n for n in sorted(os.listdir('/')) if os.path.ismount('/' + n)]",
            "os.path.samestat(os.stat('/proc/1/root'), os.stat('/'))",
        )[0]
        self.assertIn("/", [line[1] for line in table])
        with asked([rootlab()], "namespace") as ask:
            table = ask("open('/proc/self/mountinfo').read()").splitlines()
            self.assertEqual(
                ask("__import__('one').__file__.rpartition('/site-packages')[0]"), MOUNT
            )
        self.assertEqual([line.split()[4] for line in table if "fuse.haft" in line], [MOUNT])

    def test_programs_that_ask_for_the_root(self):
        """Which device, how full, in a chroot, one file system."""
        for words in (
            ["findmnt", "-no", "SOURCE,FSTYPE,OPTIONS", "/"],
            ["df", "--output=source,size,target", "/"],
            [
                "find",
                "/",
                "-xdev",
                "-maxdepth",
                "2",
                "-path",
                "/tmp",
                "-prune",
                "-o",
                "-name",
                "p*",
            ],
            ["grub-probe", "--target=device", "/"],
        ):
            if shutil.which(words[0]):
                self.same(
                    f"(lambda done: (done.returncode, sorted(done.stdout.splitlines())))"
                    f"(subprocess.run({words}, capture_output=True))"
                )

    @unittest.skipUnless(shutil.which("systemctl"), "no systemctl")
    def test_systemctl_takes_it_for_no_chroot(self):
        program = (
            "import subprocess, sys; sys.exit(subprocess.call(['systemctl', 'reload', 'no-such']))"
        )
        for command in ([rootlab(), program], [*plain(), program]):
            done = support.run(
                [
                    "unshare",
                    "-fp",
                    "--mount-proc",
                    "sh",
                    "-c",
                    f"{shlex.join(map(str, command))}; exit $?",
                ]
            )
            self.assertNotEqual(done.returncode, 0)
            self.assertNotIn("chroot", done.stderr)

    def test_rename_and_link_between_top_level_directories(self):
        if os.stat("/opt").st_dev != os.stat("/var/tmp").st_dev:
            self.skipTest("/opt and /var/tmp are on two file systems")
        with tempfile.TemporaryDirectory(dir="/opt") as one, tempfile.TemporaryDirectory(
            dir="/var/tmp"
        ) as two, asked([rootlab()], "namespace") as ask:
            pathlib.Path(one, "file").touch()
            ask(f"os.link({one + '/file'!r}, {two + '/linked'!r})")
            ask(f"os.rename({one + '/file'!r}, {two + '/renamed'!r})")
            self.assertEqual(sorted(os.listdir(two)), ["linked", "renamed"])

    def test_what_changes_directly_below_the_root(self):
        with asked([rootlab()], "namespace") as ask, below_root("haft-test-new") as new:
            self.assertIn(new.name, ask("os.listdir('/')"))
            for number in "12":
                (new / number).write_text(number)
            link = pathlib.Path("/haft-test-link")
            link.symlink_to(new / "1")
            try:
                self.assertEqual(ask(f"open({str(link)!r}).read()"), "1")
                (new / "link").symlink_to(new / "2")
                (new / "link").rename(link)
                self.assertEqual(ask(f"open({str(link)!r}).read()"), "2")
            finally:
                link.unlink()
            ask("os.mkdir('/haft-test-new/made')")
            self.assertTrue((new / "made").is_dir())

    def test_remount_of_a_root_that_is_read_only(self):
        """/run as well: a directory for the image is made in a copy of it."""
        root, proof = support.unique_dir("root"), support.unique_dir("proof") / "file"
        program = (
            "import subprocess\n"
            "print(os.statvfs('/').f_flag & os.ST_RDONLY, open('/proc/self/mounts').read().count("
            "' /run tmpfs '))\n"
            "subprocess.run(['mount', '-o', 'remount,bind,rw', '/'], check=True)\n"
            f"open({str(proof)!r}, 'w').close()"
        )
        words = (
            f"mount --rbind / {root} && mount --make-rprivate {root} && "
            f"mount -o remount,bind,ro {root} && exec chroot {root} "
            + shlex.join([str(rootlab()), program])
        )
        with self.clean():
            done = support.run(
                ["unshare", "-m", "sh", "-c", words], env=support.clean_env(HAFT_LOG="debug")
            )
        self.assertEqual((done.returncode, done.stdout), (0, "1 1\n"), done.stderr)
        self.assertTrue(proof.exists())
        self.assertIn("'/run' covered", done.stderr)
        self.assertIn("Read-only file system", done.stderr)


@unittest.skipIf(os.geteuid(), "needs root")
class TestPeerOfTheHost(HostCase):
    """The worker's mounts are shared, as under systemd."""

    def test_mounts_of_both_sides_below_run(self):
        """The mount that carries the image's directory was out of its group for a moment."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.clean(quiet_host=False))
            for directory in ("/run/haft-test-ours", "/run/haft-test-theirs"):
                os.mkdir(directory)
                stack.callback(os.rmdir, directory)
            ask = stack.enter_context(asked([rootlab()], "namespace"))
            mount = ["mount", "-t", "tmpfs", "none"]
            subprocess.run([*mount, "/run/haft-test-ours"], check=True)
            self.assertTrue(ask("os.path.ismount('/run/haft-test-ours')"))
            ask(f"subprocess.run({[*mount, '/run/haft-test-theirs']}).returncode")
            self.assertTrue(os.path.ismount("/run/haft-test-theirs"))
            for directory in ("/run/haft-test-ours", "/run/haft-test-theirs"):
                subprocess.run(["umount", directory], check=True)
                self.assertFalse(ask(f"os.path.ismount({directory!r})"))
            self.assertFalse(os.path.ismount(MOUNT))
            self.assertTrue(ask(f"os.path.ismount({MOUNT!r})"))

    def test_run_of_its_own(self):
        """/run is a tmpfs as on most hosts: it is the carrier, and `/` is not touched."""
        script = (
            "mount --make-rshared /; mount -t tmpfs run /run; mkdir /run/n; "
            + shlex.join(
                [
                    str(rootlab()),
                    "import subprocess\n"
                    "words = ['mount', '-t', 'tmpfs', 'of-the-program', '/run/n']\n"
                    "subprocess.run(words, check=True)",
                ]
            )
            + "; grep -c of-the-program /proc/self/mounts; sleep 0.3; ls -d /run/haft /run/n"
        )
        done = support.run(["unshare", "-m", "sh", "-c", script])
        self.assertEqual(done.stdout, "1\n/run/n\n", done.stderr)


@unittest.skipIf(os.geteuid(), "needs root")
class TestPlainChroot(HostCase):
    """The root is a directory like any other, which nothing is mounted on."""

    @support.parametrised(has=["", "run", "run haft"])
    def test_place(self, has):
        """Below an administrator's /haft, below /run; with neither the root is covered."""
        bundle = support.app(
            "placed",
            {"placed.py": "def main(): print(__file__, open('/outside').read())"},
            *("-e", "placed:main", "--bundle-python"),
        )
        root = support.unique_dir("root")
        for name in ("proc", "dev", "tmp", *has.split()):
            (root / name).mkdir()
        shutil.copy(bundle, root / "placed")
        (root / "outside").write_text("outside")
        devices = " && ".join(
            f"touch {root}/dev/{name} && mount --bind /dev/{name} {root}/dev/{name}"
            for name in ("fuse", "null")
        )
        words = (
            f"mount --make-rshared / && mount -t proc proc {root}/proc && {devices} && "
            f"cat /proc/self/mounts >{root}/before && chroot {root} /placed; "
            f"cat /proc/self/mounts >{root}/after"
        )
        with self.clean():
            done = support.run(
                ["unshare", "-m", "sh", "-c", words],
                env=support.clean_env(HAFT_MODE="namespace"),
            )
        parent = "/run/haft" if has == "run" else "/haft"
        self.assertEqual(
            (done.stdout, done.stderr), (f"{parent}/placed/site-packages/placed.py outside\n", "")
        )
        self.assertEqual((root / "before").read_text(), (root / "after").read_text())
        names = {"after", "before", "dev", "outside", "placed", "proc", "tmp", *has.split()}
        self.assertEqual({path.name for path in root.iterdir()}, names)
        for name in has.split():
            self.assertTrue(support.wait_until(lambda: not os.listdir(root / name)), name)


@unittest.skipIf(os.geteuid(), "needs root")
class TestDirectory(HostCase):
    """/run/haft/NAME goes with the last start that uses it."""

    def gone(self):
        self.assertTrue(support.wait_until(lambda: not os.path.exists(MOUNT)), MOUNT)

    def test_two_starts_of_one_bundle(self):
        """The first that ends must not take the mount of the other along."""
        with self.clean():
            with asked([rootlab()], "namespace") as second:
                with asked([rootlab()], "namespace") as first:
                    self.assertEqual(first("__import__('one').VALUE"), 1)
                self.assertTrue(os.path.isdir(MOUNT))
                support.wait_until(lambda: False, 0.5)
                self.assertEqual(second("__import__('two').VALUE"), 2)
            self.gone()

    def test_killed_program_and_killed_supervisor(self):
        for which in ("program", "supervisor"):
            with self.clean(), support.start(
                [rootlab(), "print('up', flush=True); sys.stdin.read()"],
                mode="namespace",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            ) as process:
                process.stdout.readline()
                if which == "program":
                    process.kill()
                else:
                    for pid in support.clean.haft_processes():
                        if support.clean.process_name(pid) == "haft-supervisor":
                            os.kill(pid, 9)
                process.stdin.close()
                process.wait()
            self.gone()

    def test_all_killed_is_swept_by_the_next_start(self):
        os.makedirs("/run/haft/killed-of-a-test", exist_ok=True)
        os.chmod("/run/haft/killed-of-a-test", 0o1700)
        os.makedirs("/run/haft/other-of-a-test", 0o700, exist_ok=True)
        try:
            with asked([rootlab()], "namespace"):
                self.assertTrue(
                    support.wait_until(lambda: not os.path.exists("/run/haft/killed-of-a-test"))
                )
                self.assertTrue(os.path.isdir("/run/haft/other-of-a-test"))
            self.gone()
        finally:
            os.rmdir("/run/haft/other-of-a-test")
