"""Directory listings: order, buffers of any size, seekdir, types and inode numbers, 100 000
entries."""

import ctypes
import itertools
import os
import random
import struct
import subprocess
import threading

import support
from support import fs_support
from support.mounting import Mounted

SECONDS = 40
LIBC = ctypes.CDLL(None, use_errno=True)
GETDENTS64 = {"x86_64": 217, "aarch64": 61}[os.uname().machine]
DT_DIR, DT_REG, DT_LNK = 4, 8, 10
HUGE = 100_000


def getdents(descriptor, buffer):
    """One call: [(name, inode, offset of the next entry, type)]; empty at the end."""
    size = LIBC.syscall(GETDENTS64, descriptor, buffer, len(buffer))
    if size < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    entries, position, raw = [], 0, buffer.raw[:size]
    while position < size:
        inode, offset, length, kind = struct.unpack_from("<QqHB", raw, position)
        entries.append(
            (raw[position + 19 : position + length].split(b"\0", 1)[0], inode, offset, kind)
        )
        position += length
    return entries


def listing(descriptor, size):
    """All entries from the current position on, read with a buffer of `size` bytes."""
    buffer = ctypes.create_string_buffer(size)
    found = []
    while entries := getdents(descriptor, buffer):
        found += entries
    return found


def open_directory(path):
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


class ReaddirCase(support.TestCase):
    def assert_each_once(self, entries, wanted):
        """`wanted` is {name: DT_ type}, without . and .."""
        names = {name for name, _, _, _ in entries}
        self.assertEqual(len(names), len(entries), "a name was listed twice")
        wanted_names = {b".", b"..", *wanted}
        self.assertEqual(
            (sorted(wanted_names - names)[:5], sorted(names - wanted_names)[:5]),
            ([], []),
            "(missing, surplus)",
        )
        wrong = [(name, kind) for name, _, _, kind in entries if wanted.get(name, DT_DIR) != kind]
        self.assertEqual(wrong[:5], [], "d_type")

    def assert_same(self, got, wanted, note=""):
        """Lists that may be long: only the first difference is shown."""
        if got != wanted:
            pairs = enumerate(itertools.zip_longest(got, wanted))
            place, (one, other) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
            self.fail(
                f"{note or 'lists differ'}: at {place} of {len(got)}/{len(wanted)}: {one!r} "
                f"instead of {other!r}"
            )


class TestHugeDirectory(ReaddirCase):
    """100 000 entries: mostly small files, some directories and links."""

    seconds = 150

    @classmethod
    def setUpClass(cls):
        cls.tree = fs_support.memory_dir(cls, "huge")
        arguments = fs_support.program(cls.tree)
        directory = os.fsencode(cls.tree) + b"/all"
        os.mkdir(directory)
        cls.wanted = {}
        os.chdir(directory)  # short names are faster
        try:
            for number in range(HUGE):
                name = b"e%d" % number
                if number % 1000 == 7:
                    os.mkdir(name)
                    cls.wanted[name] = DT_DIR
                elif number % 1000 == 8:
                    os.symlink(b"e%d" % (number - 2), name)
                    cls.wanted[name] = DT_LNK
                else:
                    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644)
                    if number % 10 == 0:
                        os.write(descriptor, name)
                    os.close(descriptor)
                    cls.wanted[name] = DT_REG
        finally:
            os.chdir("/")
        cls.bundle = support.build(
            cls.tree, *arguments, "--no-compile", output=support.unique_dir("huge-out") / "huge"
        )

    def test_same_as_the_source(self):
        source = fs_support.keys(fs_support.manifest_of(self.tree))
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            manifest = fs_support.manifest_of(mount.tree)
            self.assertEqual(
                "\n".join(fs_support.differences(source, fs_support.keys(manifest))), ""
            )
            fs_support.assert_links_and_inodes(self, manifest)

    def test_buffers_of_any_size(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            reference = None
            for size in (1 << 20, 280, 4096, 32768):
                with self.subTest(buffer=size):
                    descriptor = open_directory(mount.tree + b"/all")
                    try:
                        entries = listing(descriptor, size)
                        self.assert_each_once(entries, self.wanted)
                        reference = reference or entries
                        self.assert_same(entries, reference)
                        os.lseek(descriptor, 0, os.SEEK_SET)
                        self.assert_same(listing(descriptor, size), reference, "after rewinddir")
                    finally:
                        os.close(descriptor)
            for name, inode, _, _ in random.Random(3).sample(reference, 2000):
                self.assertEqual(os.lstat(mount.tree + b"/all/" + name).st_ino, inode, name)

    def test_small_buffer_on_a_fresh_mount(self):
        """The kernel has cached nothing yet: each refill is a question to the server."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            descriptor = open_directory(mount.tree + b"/all")
            try:
                self.assert_each_once(listing(descriptor, 1000), self.wanted)
            finally:
                os.close(descriptor)

    def test_bytewise_order(self):
        """`ls -U` and `haft ls` show names in bytewise order, as the image holds them."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            shown = subprocess.run(
                ["ls", "-U", mount.tree + b"/all"],
                stdout=subprocess.PIPE,
                check=True,
                env=support.clean_env(LC_ALL="C"),
            )
        names = shown.stdout.splitlines()
        self.assert_same(names, sorted(self.wanted))
        listed = support.haft("ls", self.bundle, "site-packages/all", text=False).stdout.split()
        self.assert_same(
            [name.rstrip(b"/@").rpartition(b"/")[2] for name in listed], sorted(self.wanted)
        )

    def test_readers_side_by_side(self):
        """Four readers of the same fresh directory, with different buffers."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            results = {}

            def reader(size):
                descriptor = open_directory(mount.tree + b"/all")
                try:
                    results[size] = listing(descriptor, size)
                finally:
                    os.close(descriptor)

            threads = [
                threading.Thread(target=reader, args=(size,))
                for size in (4096, 5000, 32768, 1 << 20)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len(results), 4)
            for entries in results.values():
                self.assert_each_once(entries, self.wanted)

    def test_missing_names(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            for name in (b"e", b"e100000", b"d", b"f", b"e99999x", b"\xff", b"e-1"):
                self.assertFalse(os.path.lexists(mount.tree + b"/all/" + name), name)
            for number in random.Random(4).sample(range(HUGE), 2000):
                self.assertTrue(os.path.lexists(mount.tree + b"/all/e%d" % number))


class TestSeekdir(ReaddirCase):
    """1000 entries; from every position the rest follows."""

    @classmethod
    def setUpClass(cls):
        cls.tree = support.unique_dir("seek")
        arguments = fs_support.program(cls.tree)
        directory = os.fsencode(cls.tree) + b"/all"
        os.mkdir(directory)
        cls.wanted = {}
        for number in range(1000):
            name = b"%d" % number + b"x" * (number % 200)
            if number % 3:
                fs_support.put(directory + b"/" + name)
            else:
                os.mkdir(directory + b"/" + name)
            cls.wanted[name] = DT_REG if number % 3 else DT_DIR
        cls.bundle = support.build(
            cls.tree, *arguments, "--no-compile", output=support.unique_dir("seek-out") / "seek"
        )

    def check_every_position(self, path, size):
        descriptor = open_directory(path)
        try:
            reference = listing(descriptor, 32768)
            self.assert_each_once(reference, self.wanted)
            offsets = [offset for _, _, offset, _ in reference]
            self.assertEqual(len(set(offsets)), len(offsets), "d_off occurs twice")
            order = list(range(len(reference)))
            random.Random(9).shuffle(order)
            buffer = ctypes.create_string_buffer(size)
            for index in order:
                os.lseek(descriptor, offsets[index], os.SEEK_SET)
                entries = getdents(descriptor, buffer)
                self.assert_same(entries, reference[index + 1 : index + 1 + len(entries)])
                self.assertEqual(bool(entries), index + 1 < len(reference))
            for index in order[:25]:
                os.lseek(descriptor, offsets[index], os.SEEK_SET)
                self.assert_same(listing(descriptor, size), reference[index + 1 :])
            return reference
        finally:
            os.close(descriptor)

    def test_every_position(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            path = mount.tree + b"/all"
            first = self.check_every_position(path, 4096)
            self.assert_same(self.check_every_position(path, 600), first)
            here = {name: inode for name, inode, _, _ in first}
            for name in self.wanted:
                self.assertEqual(os.lstat(path + b"/" + name).st_ino, here[name])
            self.assertEqual(here[b"."], os.stat(path).st_ino)
            self.assertEqual(here[b".."], os.stat(mount.tree).st_ino)

    def test_seek_before_anything_was_listed(self):
        """Cookies are stateless: those of one mount mean the same in the next, whose caches are
        empty."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            descriptor = open_directory(mount.tree + b"/all")
            reference = listing(descriptor, 4096)
            os.close(descriptor)
        for index in (0, 1, 2, 3, 500, 998, 1000, 1001):
            with Mounted(self.bundle) as mount:
                descriptor = open_directory(mount.tree + b"/all")
                os.lseek(descriptor, reference[index][2], os.SEEK_SET)
                self.assert_same(listing(descriptor, 4096), reference[index + 1 :])
                os.close(descriptor)

    def test_smallest_buffer(self):
        """A name that does not fit is EINVAL, not a shortened name and not the end."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            descriptor = open_directory(mount.tree + b"/all")
            try:
                with self.assertRaises(OSError) as caught:
                    listing(descriptor, 32)
                self.assertEqual(fs_support.fs_errno.name_of(caught.exception.errno), "EINVAL")
                os.lseek(descriptor, 0, os.SEEK_SET)
                self.assert_each_once(listing(descriptor, 232), self.wanted)
            finally:
                os.close(descriptor)

    def test_bad_positions(self):
        """A made-up position is the end or an error, never a crash."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            descriptor = open_directory(mount.tree + b"/all")
            buffer = ctypes.create_string_buffer(4096)
            for position in (
                1003,
                5000,
                1 << 31,
                1 << 32,
                (1 << 32) + 5,
                1 << 40,
                1 << 62,
                (1 << 63) - 1,
            ):
                os.lseek(descriptor, position, os.SEEK_SET)
                try:
                    self.assertEqual(getdents(descriptor, buffer), [])
                except OSError as error:
                    self.assertIn(fs_support.fs_errno.name_of(error.errno), ("EINVAL", "ENOENT"))
            os.close(descriptor)
            self.assertEqual(len(os.listdir(mount.tree + b"/all")), 1000)

    def test_libc_telldir(self):
        """The same through readdir, telldir and seekdir of the C library."""
        LIBC.opendir.restype = LIBC.readdir64.restype = ctypes.c_void_p
        LIBC.telldir.restype = ctypes.c_long
        LIBC.opendir.argtypes = [ctypes.c_char_p]
        LIBC.readdir64.argtypes = LIBC.telldir.argtypes = LIBC.closedir.argtypes = [ctypes.c_void_p]
        LIBC.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

        def next_name(stream):
            entry = LIBC.readdir64(stream)
            return ctypes.string_at(entry + 19) if entry else None

        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            stream = LIBC.opendir(mount.tree + b"/all")
            self.assertTrue(stream)
            positions = []
            while True:
                position = LIBC.telldir(stream)
                name = next_name(stream)
                if name is None:
                    break
                positions.append((position, name))
            self.assertEqual(len(positions), 1002)
            random.Random(2).shuffle(positions)
            for position, name in positions:
                LIBC.seekdir(stream, position)
                self.assertEqual(next_name(stream), name)
            LIBC.closedir(stream)

    def test_scandir(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount, os.scandir(
            mount.tree + b"/all"
        ) as entries:
            for entry in entries:
                status = os.lstat(entry.path)
                self.assertEqual(entry.inode(), status.st_ino)
                self.assertEqual(
                    entry.is_dir(follow_symlinks=False), self.wanted[entry.name] == DT_DIR
                )
