"""The host's files that the profile names are read before Python asks for them; what else lies
under their names does no harm."""

import ctypes
import json
import mmap
import os
import pathlib
import shutil
import threading

import support

# Waits until nobody reads ahead any more.
ENTRY = """
import os, time
def reading():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file, open(f"/proc/{pid}/stat") as status:
                if file.read() == "haft-host-files\\n" and ") Z " not in status.read():
                    return True
        except OSError:
            pass
    return False
def main():
    end = time.monotonic() + 10
    while reading() and time.monotonic() < end:
        time.sleep(0.01)
    print("reading" if reading() else "done")
"""


def is_cached(path):
    """Asked of a mapping: to try to read would begin to read."""
    with open(path, "rb") as file, mmap.mmap(
        file.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE
    ) as mapping:
        resident = ctypes.create_string_buffer(1)
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        if (
            ctypes.CDLL(None, use_errno=True).mincore(
                ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), resident
            )
            < 0
        ):
            raise OSError(ctypes.get_errno(), "mincore")
        return bool(resident.raw[0] & 1)


def evict(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class TestPrefetchHost(support.TestCase):
    """With an interpreter at a prefix of its own, so that everything below is the test's."""

    @classmethod
    def setUpClass(cls):
        cls.prefix = support.unique_dir("prefix")
        (cls.prefix / "bin").mkdir()
        cls.python = cls.prefix / "bin" / os.path.basename(os.path.realpath(support.PYTHON))
        shutil.copy(os.path.realpath(support.PYTHON), cls.python)
        (cls.prefix / "data").mkdir()
        for name in ("wanted", "other", "far"):
            (cls.prefix / "data" / name).write_bytes(os.urandom(300_000))
        os.mkfifo(cls.prefix / "data" / "fifo")
        (cls.prefix / "data" / "directory").mkdir()
        (cls.prefix / "data" / "link").symlink_to("far")
        (cls.prefix / "data" / "loop").symlink_to("loop")
        unreadable = cls.prefix / "data" / "unreadable"
        unreadable.write_bytes(b"x")
        unreadable.chmod(0)
        tree = support.unique_dir("ahead")
        (tree / "ahead.py").write_text(ENTRY)
        profile = support.unique_dir("ahead-profile") / "profile"
        names = [
            "missing",
            "fifo",
            "directory",
            "directory/wanted",
            "wanted/below",
            "link",
            "loop",
            "unreadable",
            "wanted",
        ]
        host = ["data/" + name for name in names] + ["/usr/missing", "/usr/bin"]
        profile.write_text(json.dumps({"files": ["site-packages/ahead.py"], "host": host}))
        cls.bundle = support.build(
            tree,
            "-e",
            "ahead:main",
            "--profile-from",
            profile,
            "--no-profile",
            output=support.unique_dir("ahead-out") / "ahead",
        )

    def setUp(self):
        for name in ("wanted", "other", "far"):
            evict(self.prefix / "data" / name)
        if is_cached(self.prefix / "data" / "wanted"):
            self.skipTest("this file system keeps its files in memory")

    def cached(self, **variables):
        done = support.run(
            [self.bundle],
            env=support.clean_env(HAFT_PYTHON=str(self.python), **variables),
            check=True,
        )
        self.assertEqual(done.stdout, "done\n")
        return [
            name for name in ("wanted", "other", "far") if is_cached(self.prefix / "data" / name)
        ]

    def test_reads_what_is_not_there(self):
        self.assertEqual(self.cached(), ["wanted"])

    def test_switched_off(self):
        self.assertEqual(self.cached(HAFT_PREFETCH="0"), [])

    def test_fifo_is_not_opened(self):
        """Who waits for a reader of a FIFO had been woken: its type was asked for after it was
        opened."""
        fifo = self.prefix / "data" / "fifo"
        writer = threading.Thread(target=lambda: os.close(os.open(fifo, os.O_WRONLY)))
        writer.start()
        try:
            self.assertEqual(self.cached(), ["wanted"])
            self.assertTrue(writer.is_alive())
        finally:
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            writer.join()
            os.close(reader)

    def test_without_such_files(self):
        hidden = self.prefix / "data" / "wanted.hidden"
        (self.prefix / "data" / "wanted").rename(hidden)
        try:
            done = support.run(
                [self.bundle], env=support.clean_env(HAFT_PYTHON=str(self.python)), check=True
            )
        finally:
            hidden.rename(self.prefix / "data" / "wanted")
        self.assertEqual(done.stdout, "done\n")

    def test_profile_run_finds_the_standard_library(self):
        """Paths below the interpreter's prefix; none of the host's packages, none of the machine's
        settings."""
        tree = support.unique_dir("recorded")
        (tree / "recorded.py").write_text("import wave\ndef main(): pass\n")
        bundle = support.build(
            tree, "-e", "recorded:main", output=support.unique_dir("recorded-out") / "recorded"
        )
        data = pathlib.Path(bundle).read_bytes()
        offset = data.rindex(b'{"files"')
        host = json.JSONDecoder().raw_decode(data[offset:].decode("utf-8", "replace"))[0]["host"]
        self.assertTrue(
            any(path.startswith("lib/python") and "/wave." in path for path in host), host
        )
        self.assertTrue(any("/libc.so." in path for path in host), host)
        for path in host:
            self.assertTrue(not path.startswith("/") or path.startswith("/usr/"), path)
            self.assertNotRegex(path, r"/(site|dist)-packages/|\.\.")
        self.assertEqual(len(host), len(set(host)))
