"""What happens to the bundle's file while it is mounted."""

import errno
import os
import random
import shutil
import subprocess
import time

import support
from support import fs_support
from support.mounting import Mounted, data_bundle

SECONDS = 10


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
