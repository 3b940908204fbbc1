"""A file whose owner changes it while a command looks at it: the right bytes or an error, as if it
had been damaged before. What was checked is never read a second time from the file.

HAFT_READER is the haft that looks, for one with sanitizers.
"""

import errno
import mmap
import os
import random
import shutil
import subprocess
import threading

import support
from support import fs_image, fs_support
from support.mounting import Mounted

READER = os.environ.get("HAFT_READER", support.HAFT)
ROUNDS = 200 if support.LONG else 40


class Flipper:
    """Flips bits of a file between two offsets, a few at a time, and takes them back."""

    def __init__(self, path, begin, end, seed):
        self._random = random.Random(seed)
        self._range = (begin, end)
        with open(path, "r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)
        self._original = bytes(self._bytes)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.flips = 0

    def _run(self):
        while not self._stop.is_set():
            for _ in range(50):
                at = self._random.randrange(*self._range)
                self._bytes[at] = self._original[at] ^ (1 << self._random.randrange(8))
                self.flips += 1
                self._bytes[at] = self._original[at]
            # One that stays for a while, so that a slow reader sees it.
            at = self._random.randrange(*self._range)
            self._bytes[at] = self._original[at] ^ (1 << self._random.randrange(8))
            self._stop.wait(0.002)
            self._bytes[at] = self._original[at]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def contents(directory):
    """{path: bytes} of all files below a directory."""
    found = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory)] = file.read()
    return found


class TestChangedMeanwhile(support.TestCase):
    @classmethod
    def setUpClass(cls):
        tree = support.unique_dir("changing")
        (tree / "many").mkdir()
        numbers = random.Random(7)
        for number in range(300):
            (tree / f"many/module_{number}.py").write_text(f"VALUE = {number}\n" * (number % 40))
        (tree / "noise").write_bytes(numbers.randbytes(900_000))
        (tree / "text").write_bytes(b"a line of text\n" * 60_000)
        cls.bundle = support.build(
            tree, *fs_support.program(tree), "--no-compile", output=support.unique_dir() / "whole"
        )
        cls.image = fs_image.Image(cls.bundle)
        whole = support.unique_dir() / "whole"
        support.haft("extract", cls.bundle, whole)
        cls.files = contents(whole)
        cls.paths = set(support.haft("ls", "-R", cls.bundle).stdout.splitlines())

    def look(self, *arguments):
        done = subprocess.run(
            [READER, *map(str, arguments)],
            check=False,
            capture_output=True,
            env=support.clean_env(),
            timeout=120,
        )
        errors = done.stderr.decode()
        self.assertIn(done.returncode, (0, 1, 2, 125), errors[-4000:])
        if done.returncode and arguments[0] != "verify":
            self.assertEqual(len(errors.splitlines()), 1, errors)
        for line in errors.splitlines():
            self.assertTrue(line.startswith("haft: "), line)
            self.assertLess(len(line), 1000)
        return done

    @support.parametrised(part=["index", "everything"])
    def test_every_command_shows_what_was_packed_or_fails(self, part):
        work = support.unique_dir()
        changing = work / "changing"
        shutil.copyfile(self.bundle, changing)
        size = self.image.size
        begin = self.image.index_start if part == "index" else self.image.image_offset
        good = 0
        with Flipper(changing, begin, size, seed=part) as flipper:
            for _ in range(ROUNDS):
                done = self.look("ls", "-R", changing)
                if done.returncode == 0:
                    self.assertEqual(set(done.stdout.decode().splitlines()), self.paths)
                done = self.look("cat", changing, "site-packages/text", "site-packages/noise")
                if done.returncode == 0:
                    text, noise = (
                        self.files["site-packages/text"],
                        self.files["site-packages/noise"],
                    )
                    self.assertEqual(done.stdout, text + noise)
                    good += 1
                self.look("info", changing)
                self.look("info", "--json", changing)
                self.look("verify", changing)
                target = work / "target"
                done = self.look("extract", changing, target)
                if done.returncode == 0:
                    self.assertEqual(contents(target), self.files)
                    shutil.rmtree(target)
                self.assertEqual(sorted(os.listdir(work)), ["changing"])
            self.assertGreater(flipper.flips, ROUNDS)
        self.assertEqual(changing.read_bytes(), self.bundle.read_bytes(), "flips were taken back")
        if part == "index":
            self.assertGreater(good, 0, "nothing was ever right")

    def test_a_mount_shows_what_was_packed_or_errors(self):
        changing = support.unique_dir() / "changing"
        shutil.copyfile(self.bundle, changing)
        begin, size = self.image.image_offset, self.image.size
        right = 0
        with self.clean(quiet_host=False), Mounted(changing) as mount:
            with Flipper(changing, begin, size, seed="mount"):
                for path, expected in self.files.items():
                    try:
                        with open(os.path.join(mount.point, path), "rb") as file:
                            self.assertEqual(file.read(), expected, path)
                        right += 1
                    except OSError as error:
                        self.assertEqual(error.errno, errno.EIO, path)
            # The server lives, and what is whole again can be read.
            for path, expected in self.files.items():
                with open(os.path.join(mount.point, path), "rb") as file:
                    self.assertEqual(file.read(), expected, path)
        self.assertGreater(right, 0)
