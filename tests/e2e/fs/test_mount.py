"""`haft mount` and `haft umount`: ready when it returns, gone when told, refused in one line."""

import json
import os
import shutil
import signal
import subprocess

import support
from support import fs_support
from support.mounting import Mounted, is_mounted, mount_point

SECONDS = 25
USERS = ("userns", "number") if os.geteuid() == 0 else ("userns",)
# Shell: sets $pid to the server of the mount at $2.
PID_OF_SERVER = (
    "pid=$(tr -d ' \\n' < \"$2/.haft/stats\" | sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p'); "
    'test -n "$pid"; '
)


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
            # If the server kept the pipe open, reading to its end would not end.
            done = support.run(
                [support.HAFT, "mount", self.bundle, self.point],
                timeout=10,
                check=True,
                cwd=support.unique_dir("cwd"),
            )
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

    @support.parametrised(sent=[signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    def test_signal_to_its_whole_group_is_a_clean_end(self, sent):
        """As systemd and a terminal send it: server and waiting process get it at once."""
        with self.clean(quiet_host=False):
            with support.start(
                [support.HAFT, "mount", "--foreground", self.bundle, self.point],
                start_new_session=True,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                self.assertTrue(support.wait_until(lambda: is_mounted(self.point)))
                os.killpg(process.pid, sent)
                _, errors = process.communicate(timeout=10)
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
    """Mounts through fusermount3, which is the only way it may."""

    @support.parametrised(mode=USERS)
    def test_mount_read_umount(self, mode):
        user = support.user_in(mode)
        point = mount_point(self, "user")
        user.own(point)
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
            done = support.run(["sh", "-c", script, support.HAFT, support.lab(), point], mode=mode)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text, uid, line, *rest = done.stdout.splitlines()
        self.assertEqual((text, uid, rest), ("text of the lab", str(user.uid), []))
        self.assertIn(f"user_id={user.uid}", line)

    def test_directory_of_somebody_else(self):
        point = mount_point(self, "not-yours")
        with self.clean():
            done = support.run([support.HAFT, "mount", support.lab(), point], mode="userns")
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, str(point))
