"""`haft mount` and `haft umount`: ready when it returns, gone when told, patient with killed and
stopped servers."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import time

import support
from support import fs_manifest, fs_support
from support.fs_support import Mounted, memory_kb

SECONDS = 60
RSS_KB = 40 * 1000
# Shell: sets $pid to the server of the mount at $2.
PID_OF_SERVER = (
    "pid=$(tr -d ' \\n' < \"$2/.haft/stats\" | sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p'); "
    'test -n "$pid"; '
)


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


class TestLife(support.TestCase):
    def setUp(self):
        self.bundle = support.lab()
        self.point = mount_point(self, "life")

    def mount(self, *options, bundle=None):
        support.haft("mount", *options, bundle or self.bundle, self.point)

    def umount(self):
        support.haft("umount", self.point)

    def read(self):
        return (self.point / "site-packages/lab_data/text.txt").read_text()

    def server(self):
        return json.loads((self.point / ".haft/stats").read_text())["server"]["pid"]

    def test_ready_when_it_returns(self):
        with self.clean(quiet_host=False):
            for _ in range(20):
                self.mount()
                self.assertTrue(is_mounted(self.point))
                self.assertEqual(self.read(), "text of the lab\n")
                self.umount()
                self.assertFalse(is_mounted(self.point))

    def test_umount_ends_the_server(self):
        with self.clean(quiet_host=False):
            self.mount()
            server = self.server()
            self.assertTrue(fs_support.alive(server))
            self.umount()
            self.assertTrue(support.wait_until(lambda: not fs_support.alive(server), 2))
        self.assertEqual(os.listdir(self.point), [])

    def test_server_is_on_its_own(self):
        """No terminal, no directory, no file of the caller's is kept by the server."""
        with self.clean(quiet_host=False):
            began = time.monotonic()
            # If the server kept the pipe open, reading to its end would not end.
            done = support.run(
                [support.HAFT, "mount", self.bundle, self.point],
                timeout=10,
                check=True,
                cwd=support.unique_dir("cwd"),
            )
            self.assertLess(time.monotonic() - began, 5)
            self.assertEqual((done.stdout, done.stderr), ("", ""))
            server = self.server()
            self.assertEqual(os.readlink(f"/proc/{server}/cwd"), "/")
            self.assertEqual(os.getsid(server), server)
            with open(f"/proc/{server}/comm") as file:
                self.assertEqual(file.read(), "haft-server\n")
            descriptors = [
                os.readlink(f"/proc/{server}/fd/{fd}") for fd in os.listdir(f"/proc/{server}/fd")
            ]
            self.assertLessEqual(len(descriptors), 8, descriptors)
            self.assertFalse([d for d in descriptors if d.startswith("pipe:")], descriptors)
            self.umount()

    def test_terminated_server(self):
        """SIGTERM to the server of a mount: the mount goes with it, no dead mount stays."""
        with self.clean(quiet_host=False):
            self.mount()
            os.kill(self.server(), signal.SIGTERM)
            if not support.wait_until(lambda: not is_mounted(self.point), 2):
                self.assertEqual(self.read(), "text of the lab\n", "neither unmounted nor serving")
                self.umount()

    def test_foreground(self):
        """--foreground serves in this process; Ctrl-C unmounts."""
        with self.clean(quiet_host=False):
            with support.start(
                [support.HAFT, "mount", "--foreground", self.bundle, self.point],
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                self.assertTrue(support.wait_until(lambda: is_mounted(self.point)))
                self.assertEqual(self.read(), "text of the lab\n")
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=5)
            self.assertFalse(is_mounted(self.point))
        self.assertEqual((process.returncode, errors), (0, ""))

    def test_foreground_ends_with_umount(self):
        with self.clean(quiet_host=False), support.start(
            [support.HAFT, "mount", "--foreground", self.bundle, self.point]
        ) as process:
            self.assertTrue(support.wait_until(lambda: is_mounted(self.point)))
            self.umount()
            self.assertEqual(process.wait(5), 0)

    def test_busy_umount(self):
        """While somebody is inside, umount says so and leaves the mount as it is; later it
        works."""
        with self.clean(quiet_host=False):
            self.mount()
            with support.start(["sleep", "60"], cwd=self.point / "site-packages") as inside:
                done = support.haft("umount", self.point, check=False)
                if done.returncode:
                    self.assertOneLine(done.stderr, str(self.point))
                    self.assertEqual(self.read(), "text of the lab\n")
                inside.kill()
            if done.returncode:
                self.umount()
            self.assertFalse(is_mounted(self.point))

    def test_two_mounts_of_one_bundle(self):
        other = mount_point(self, "life-other")
        with self.clean(quiet_host=False):
            self.mount()
            support.haft("mount", self.bundle, other)
            self.umount()
            self.assertEqual(
                (other / "site-packages/lab_data/text.txt").read_text(), "text of the lab\n"
            )
            support.haft("umount", other)

    def test_path_with_odd_characters(self):
        for name in (
            "with space",
            "comma,allow_other,suid",
            "back\\slash",
            "new\nline",
            "quote'\"",
            "%s",
            "-leading",
            "ü",
            "\udcff",
        ):
            with self.subTest(name=name), self.clean(quiet_host=False):
                directory = support.unique_dir("odd-point") / name
                directory.mkdir()
                bundle = directory.parent / ("bundle " + name)
                shutil.copy(self.bundle, bundle)
                support.haft("mount", bundle, directory)
                try:
                    self.assertEqual(
                        (directory / "site-packages/lab_data/text.txt").read_text(),
                        "text of the lab\n",
                    )
                    (line,) = [
                        line for line in support.mount_table() if " - fuse.haft haft " in line
                    ]
                    options = line.split(" - ")[0].split()[5].split(",")
                    self.assertTrue({"ro", "nosuid", "nodev"} <= set(options), line)
                    # Private unless asked: nothing from the path became an option.
                    self.assertNotIn("allow_other", line.split(" - ")[1])
                finally:
                    support.haft("umount", directory)

    def test_relative_paths(self):
        with self.clean(quiet_host=False):
            parent = self.point.parent
            support.haft("mount", os.path.relpath(self.bundle, parent), self.point.name, cwd=parent)
            self.assertEqual(self.read(), "text of the lab\n")
            support.haft("umount", self.point.name, cwd=parent)


class TestRefusals(support.TestCase):
    """One line each that names the directory, and nothing mounted."""

    def check(self, *arguments, parts):
        with self.clean():
            done = support.haft(*arguments, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertOneLine(done.stderr, *parts)

    def test_missing_directory(self):
        missing = support.unique_dir("refused") / "missing"
        self.check("mount", support.lab(), missing, parts=[str(missing)])

    def test_directory_with_contents(self):
        full = support.unique_dir("refused")
        (full / "file").touch()
        self.check("mount", support.lab(), full, parts=[str(full), "empty"])
        self.assertTrue((full / "file").exists())

    def test_file_instead_of_directory(self):
        file = support.unique_dir("refused") / "file"
        file.touch()
        self.check("mount", support.lab(), file, parts=[str(file)])

    def test_missing_bundle(self):
        directory = support.unique_dir("refused")
        self.check("mount", directory / "no-bundle", directory, parts=["no-bundle"])

    def test_umount_of_no_mount(self):
        directory = support.unique_dir("refused")
        self.check("umount", directory, parts=[str(directory)])
        self.check("umount", directory / "missing", parts=["missing"])

    def test_umount_of_somebody_elses_mount(self):
        """Only mounts of haft are touched."""
        if os.geteuid() != 0:
            self.skipTest("needs root")
        directory = support.unique_dir("refused")
        subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
        try:
            self.check("umount", directory, parts=[str(directory)])
            self.assertTrue(os.path.ismount(directory))
        finally:
            subprocess.run(["umount", directory], check=True)

    def test_mounting_twice(self):
        """A second mount on a living one is refused: its directory is not empty."""
        with self.clean(quiet_host=False), Mounted(support.lab()) as mount:
            done = support.haft("mount", support.lab(), mount.point, check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertOneLine(done.stderr, str(mount.point))

    def test_extract_into_a_full_directory(self):
        full = support.unique_dir("refused")
        (full / "file").write_text("mine")
        self.check("extract", support.lab(), full, parts=[str(full), "empty"])
        self.assertEqual(os.listdir(full), ["file"])


class TestOrdinaryUser(support.TestCase):
    """uid 65534 mounts through fusermount3, which is the only way it may."""

    def test_mount_read_umount(self):
        point = mount_point(self, "user")
        os.chown(point, support.NOBODY, support.NOBODY)
        script = (
            'set -e; "$0" mount "$1" "$2"; cat "$2/site-packages/lab_data/text.txt"; id -u; '
            'grep " - fuse.haft haft " /proc/self/mountinfo | sed "s/.* - //"; '
            'test -O "$2/site-packages/lab_data/text.txt"; '
            + PID_OF_SERVER
            + '"$0" umount "$2"; ls -A "$2"; '
            "for i in 1 2 3 4 5 6 7 8 9 10; do test -d /proc/$pid || exit 0; sleep 0.2; done; "
            "echo server still there"
        )
        with self.clean(quiet_host=False):
            done = support.run(
                support.as_user(["sh", "-c", script, support.HAFT, support.lab(), point])
            )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text, uid, line, *rest = done.stdout.splitlines()
        self.assertEqual((text, uid, rest), ("text of the lab", "65534", []))
        self.assertIn("user_id=65534", line)

    def test_directory_of_somebody_else(self):
        point = mount_point(self, "not-yours")
        with self.clean():
            done = support.run(support.as_user([support.HAFT, "mount", support.lab(), point]))
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, str(point))


class TestMemory(support.TestCase):
    seconds = 120

    def check_memory(self, server, note):
        now, most = memory_kb(server)
        self.assertLessEqual(
            most, RSS_KB * fs_support.SLOWNESS, f"{note}: {now} KiB now, {most} KiB at most"
        )

    def test_reading_django(self):
        bundle = support.bundle("python3-django", "-m", "django")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            server = mount.server()
            self.assertLessEqual(
                memory_kb(server)[0], 10_000 * fs_support.SLOWNESS, "after mounting"
            )
            fs_manifest.manifest(mount.tree)
            self.check_memory(server, "read by one")
            readers = [
                subprocess.Popen(["grep", "-rqs", "nothing like this", mount.tree])
                for _ in range(6)
            ]
            for reader in readers:
                reader.wait()
            self.check_memory(server, "read by six")
            shown = mount.stats()["server"]["rss_bytes"]
            self.assertLess(abs(shown / 1024 - memory_kb(server)[0]), 4000)

    def test_reading_200_megabytes(self):
        """Half noise, half compressible, read by four at once from different ends."""
        chance = random.Random(1)
        text = b"".join(
            b"%d: some line of text, as logs have it\n" % chance.randrange(10**6)
            for _ in range(200_000)
        )
        files = {f"noise-{i}": chance.randbytes(25_000_000) for i in range(4)}
        files |= {f"text-{i}": (text[i * 1000 :] * 4)[:25_000_000] for i in range(4)}
        bundle = data_bundle("memory", files)
        code = (
            "import hashlib, os, sys\n"
            "names = sorted(n for n in os.listdir() if '-' in n)\n"
            "start = int(sys.argv[1])\n"
            "for name in names[start:] + names[:start]:\n"
            "    with open(name, 'rb') as f: print(name, hashlib.sha256(f.read()).hexdigest())\n"
        )
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            server = mount.server()
            readers = [
                support.start(
                    [support.PYTHON, "-c", code, str(start)],
                    cwd=mount.tree,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for start in (0, 2, 4, 6)
            ]
            outputs = [sorted(reader.communicate()[0].splitlines()) for reader in readers]
            self.check_memory(server, "read by four")
            with open(f"/proc/{server}/status") as file:
                threads = [line for line in file if line.startswith("Threads:")]
            self.assertLessEqual(int(threads[0].split()[1]), 16)
        wanted = sorted(
            f"{name} {fs_manifest.hashlib.sha256(content).hexdigest()}"
            for name, content in files.items()
        )
        for output in outputs:
            self.assertEqual(output, wanted)


class TestFileUnderneath(support.TestCase):
    """What happens to the bundle's file while it is mounted."""

    def setUp(self):
        self.contents = {f"f{i}": random.Random(i).randbytes(300_000) for i in range(12)}
        cached = data_bundle("underneath", self.contents)
        self.file = cached

    def read(self, mount, name):
        with open(mount.tree + b"/" + name.encode(), "rb") as file:
            return file.read()

    def test_replaced(self):
        """A file renamed over it: the mount keeps the old contents."""
        with self.clean(quiet_host=False), Mounted(self.file) as mount:
            self.assertEqual(self.read(mount, "f0"), self.contents["f0"])
            new = self.file.parent / "new"
            shutil.copy(support.lab(), new)
            os.rename(new, self.file)
            for name, content in self.contents.items():
                self.assertEqual(self.read(mount, name), content)
            self.assertTrue(mount.stats())
        with Mounted(self.file) as mount:
            self.assertTrue(os.path.exists(mount.tree + b"/lab.py"))

    def test_removed(self):
        with self.clean(quiet_host=False), Mounted(self.file) as mount:
            os.unlink(self.file)
            for name, content in self.contents.items():
                self.assertEqual(self.read(mount, name), content)

    def test_truncated(self):
        """EIO for what is lost, no SIGBUS: the server lives, and what the kernel holds can still be
        read."""
        with self.clean(quiet_host=False), Mounted(self.file) as mount:
            server = mount.server()
            self.assertEqual(self.read(mount, "f3"), self.contents["f3"])
            os.truncate(self.file, self.file.stat().st_size // 2)
            results = {}
            for name, content in self.contents.items():
                try:
                    results[name] = self.read(mount, name) == content
                except OSError as error:
                    self.assertEqual(error.errno, errno.EIO, name)
                    results[name] = "EIO"
            self.assertNotIn(False, results.values())
            self.assertIn("EIO", results.values())
            self.assertIs(results["f3"], True)
            self.assertTrue(fs_support.alive(server))
            os.truncate(self.file, 0)
            with self.assertRaises(OSError) as caught:
                os.stat(mount.tree + b"/never-asked-before")
            self.assertIn(caught.exception.errno, (errno.EIO, errno.ENOENT))
            self.assertTrue(fs_support.alive(server))
            self.assertEqual(mount.server(), server)

    def test_truncated_under_many_readers(self):
        """The index vanishes while eight processes walk the tree."""
        bundle = support.unique_dir("vanishing") / "flask"
        shutil.copy(support.bundle("python3-flask", "-m", "timeit"), bundle)
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            server = mount.server()
            readers = [
                subprocess.Popen(
                    ["cp", "-r", mount.tree, support.unique_dir("copy")], stderr=subprocess.DEVNULL
                )
                for _ in range(8)
            ]
            time.sleep(0.02)
            os.truncate(bundle, 5000)
            for reader in readers:
                self.assertIn(reader.wait(30), (0, 1))
            self.assertTrue(fs_support.alive(server))

    def test_overwritten(self):
        """Blocks overwritten in place are noticed."""
        with self.clean(quiet_host=False), Mounted(self.file) as mount:
            with open(self.file, "r+b") as file:
                where = fs_support.image_of(self.file).image_offset
                file.seek(where + 100_000)
                file.write(os.urandom(4096))
            results = []
            for name, content in self.contents.items():
                try:
                    self.assertEqual(self.read(mount, name), content)
                    results.append("right")
                except OSError as error:
                    self.assertEqual(error.errno, errno.EIO)
                    results.append("EIO")
            # All files of the block, which may be 1 MiB, and no other.
            self.assertGreaterEqual(results.count("EIO"), 1, results)
            self.assertGreaterEqual(results.count("right"), len(results) // 2, results)


class TestKilledServer(support.TestCase):
    """A mount has no supervisor: its files are ENOTCONN from then on, until `haft umount` or the
    next `haft mount` clears it away."""

    def setUp(self):
        self.point = mount_point(self, "killed")
        if "userns" in self.id():
            os.chown(self.point, support.NOBODY, support.NOBODY)

    def command(self, mode, *words):
        return support.run([support.HAFT, *words], mode=mode)

    def assertFine(self, done):
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def mount(self, mode):
        self.assertFine(self.command(mode, "mount", support.lab(), self.point))

    def as_owner(self, mode, code):
        return support.run([support.PYTHON, "-c", code, self.point], mode=mode)

    def mount_and_kill(self, mode):
        self.mount(mode)
        (server,) = support.servers() - self.before
        os.kill(server, signal.SIGKILL)
        self.assertTrue(support.wait_until(lambda: support.state(server) in (None, "Z"), 2, 0.001))

    def run(self, result=None):
        self.before = support.servers()
        return super().run(result)

    def test_error_at_once_and_mounted_again(self, mode):
        code = (
            "import os, sys\nfor name in ('', '/site-packages', '/site-packages/lab.py'):\n"
            "  try: os.listdir(sys.argv[1] + name)\n  except OSError as error: print(error.errno)"
        )
        with self.clean(quiet_host=False):
            self.mount_and_kill(mode)
            self.assertEqual(self.as_owner(mode, code).stdout, f"{errno.ENOTCONN}\n" * 3)
            self.mount(mode)
            self.assertEqual(
                self.as_owner(
                    mode,
                    "import sys; print(open(sys.argv[1] + "
                    "'/site-packages/lab_data/text.txt').read())",
                ).stdout,
                "text of the lab\n\n",
            )
            self.assertFine(self.command(mode, "umount", self.point))
        self.assertEqual(os.listdir(self.point), [])

    def test_umount(self, mode):
        with self.clean(quiet_host=False):
            self.mount_and_kill(mode)
            self.assertFine(self.command(mode, "umount", self.point))
        self.assertEqual(os.listdir(self.point), [])
        again = self.command(mode, "umount", self.point)
        self.assertEqual(again.returncode, 1)
        self.assertOneLine(again.stderr, "no bundle is mounted there")

    def test_somebody_is_still_in_it(self, mode):
        """Told by umount; --lazy does it all the same, and so does the next mount."""
        for clear in (["umount", "--lazy", self.point], ["mount", support.lab(), self.point]):
            with self.subTest(clear[0]), self.clean(quiet_host=False):
                self.mount(mode)
                (server,) = support.servers() - self.before
                user = support.start(
                    [
                        support.PYTHON,
                        "-c",
                        "import os, sys; os.chdir(sys.argv[1]); print(flush=True); "
                        "sys.stdin.read()",
                        self.point,
                    ],
                    mode=mode,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
                user.stdout.readline()
                os.kill(server, signal.SIGKILL)
                support.wait_until(lambda: support.state(server) in (None, "Z"), 2, 0.001)
                busy = self.command(mode, "umount", self.point)
                self.assertEqual(busy.returncode, 1)
                self.assertOneLine(
                    busy.stderr, "unmount", "end the programs that use it, or use --lazy"
                )
                self.assertFine(self.command(mode, *clear))
                user.communicate()
                if clear[0] == "mount":
                    self.assertFine(self.command(mode, "umount", self.point))
            self.assertEqual(os.listdir(self.point), [])


class TestStoppedServer(support.TestCase):
    def test_stop_and_continue(self):
        """Readers wait while the server is stopped and get the right bytes after it; a killed one
        is gone at once."""
        content = random.Random(3).randbytes(8 << 20)
        bundle = data_bundle("stopped", {"big": content})
        digest = fs_manifest.hashlib.sha256(content).hexdigest()
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            server = mount.server()
            os.stat(
                mount.tree + b"/big"
            )  # who waits for somebody else's look-up cannot be killed, on any file system
            os.kill(server, signal.SIGSTOP)
            try:
                readers = [
                    support.start(
                        ["sha256sum", mount.tree + b"/big"], stdout=subprocess.PIPE, text=True
                    )
                    for _ in range(8)
                ]
                time.sleep(1)
                self.assertEqual([reader.poll() for reader in readers], [None] * 8)
                victim = readers.pop()
                victim.kill()
                victim.communicate(timeout=5)
                self.assertEqual(victim.returncode, -signal.SIGKILL)
            finally:
                os.kill(server, signal.SIGCONT)
            for reader in readers:
                self.assertEqual(reader.communicate(timeout=20)[0].split()[0], digest)

    def test_killed_under_a_mapping(self):
        """Server killed: what is cached stays readable, the rest is ENOTCONN or SIGBUS for the
        reader, never a hang."""
        bundle = data_bundle("mapped", {"big": random.Random(4).randbytes(8 << 20)})
        code = (
            "import mmap, os, signal, sys\n"
            "f = open(sys.argv[1], 'rb')\n"
            "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n"
            "first = m[0]\n"
            "os.kill(int(sys.argv[2]), signal.SIGKILL)\n"
            "import time; time.sleep(0.3)\n"
            "assert m[0] == first\n"
            "try: f.seek(7 << 20); f.read(1 << 20)\n"
            "except OSError as e: print(e.errno, flush=True)\n"
            "m[7 << 20]\n"
        )
        with self.clean(quiet_host=False):
            point = mount_point(self, "mapped-mnt")
            support.haft("mount", bundle, point)
            server = json.loads((point / ".haft/stats").read_text())["server"]["pid"]
            done = support.run(
                [support.PYTHON, "-c", code, point / "site-packages/big", str(server)], timeout=20
            )
            self.assertEqual(done.stdout, f"{errno.ENOTCONN}\n")
            self.assertEqual(done.returncode, -signal.SIGBUS)
            support.haft("umount", point)
