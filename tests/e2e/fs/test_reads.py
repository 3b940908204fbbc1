"""The right bytes, whatever is asked for: 100 000 random reads, mappings, readers side by side."""

import hashlib
import mmap
import os
import random
import subprocess
import threading

import support
from support import fs_manifest, fs_support, mounting
from support.mounting import Mounted

SECONDS = 60
READS = 100_000
THREADS = 16
SIZES = (1, 511, 4095, 4096, 4097, 131071, 131072, 131073, (1 << 20) + 1)
EDGE = 131072
OTHER_READS = 5  # every fifth read is O_DIRECT, every fifth through a mapping
DROP = 50  # every fiftieth read makes the kernel forget the file, so that the server is asked again


def offsets(chance, size):
    """An offset as the test wants it: at a block edge −1, 0, +1, anywhere, or at and past the
    end."""
    kind = chance.randrange(10)
    if kind < 5:
        return max(0, chance.randrange(size // EDGE + 2) * EDGE + chance.choice((-1, 0, 1)))
    if kind < 7:
        return max(0, size + chance.choice((-1, 0, 1, 4096, 1 << 40)))
    return chance.randrange(size + 1)


class Reader(threading.Thread):
    """Does its share of the reads; keeps the first mismatch."""

    def __init__(self, seed, directory, contents, reads):
        super().__init__()
        self.chance = random.Random(seed)
        self.directory = directory
        self.contents = contents
        self.reads = reads
        self.mismatch = None
        self.done = 0

    def run(self):
        try:
            self._read_all()
        except BaseException as failure:  # would be lost with the thread
            self.mismatch = repr(failure)

    def _read_all(self):
        names = list(self.contents)
        plain = {name: os.open(self.directory + name, os.O_RDONLY) for name in names}
        direct = {name: os.open(self.directory + name, os.O_RDONLY | os.O_DIRECT) for name in names}
        maps = {
            name: mmap.mmap(plain[name], 0, prot=mmap.PROT_READ)
            for name in names
            if self.contents[name]
        }
        try:
            for number in range(self.reads):
                name = self.chance.choice(names)
                content = self.contents[name]
                size = self.chance.choice(SIZES)
                offset = offsets(self.chance, len(content))
                if number % DROP == 0:
                    os.posix_fadvise(plain[name], 0, 0, os.POSIX_FADV_DONTNEED)
                way = number % OTHER_READS
                if way == 1 and content:
                    got = maps[name][offset : offset + size]
                else:
                    got = os.pread((direct if way == 2 else plain)[name], size, offset)
                self.done += 1
                if got != content[offset : offset + size]:
                    self.mismatch = f"{name} at {offset}, {size} bytes, way {way}: {len(got)} bytes"
                    return
        finally:
            for mapping in maps.values():
                mapping.close()
            for descriptor in (*plain.values(), *direct.values()):
                os.close(descriptor)


class TestRandomReads(support.TestCase):
    seconds = 150

    def test_random_reads(self):
        """100 000 reads by 16 threads: pread, O_DIRECT and mappings."""
        tree = support.unique_dir("reads")
        arguments = fs_support.program(tree)
        contents = {}
        for number, size in enumerate(
            (
                0,
                1,
                100,
                4095,
                4096,
                4097,
                EDGE - 1,
                EDGE,
                EDGE + 1,
                2 * EDGE,
                1_000_003,
                (1 << 20) - 1,
                1 << 20,
                (1 << 20) + 1,
                5_000_011,
                16 << 20,
            )
        ):
            # Compressible halves, noise (stored blocks), zeros: every kind of block.
            contents[b"f%d" % number] = (
                fs_support.odd_bytes(size, number)
                if number % 3
                else random.Random(number).randbytes(size)
            )
        hole = bytearray(3_000_000)
        hole[700_000:700_100] = b"\xaa" * 100
        contents[b"hole"] = bytes(hole)
        root = os.fsencode(tree) + b"/"
        for name, content in contents.items():
            if name == b"hole":
                with open(root + name, "wb") as file:
                    file.truncate(len(content))
                    file.seek(700_000)
                    file.write(content[700_000:700_100])
            else:
                fs_support.put(root + name, content)
        bundle = support.build(tree, *arguments, output=support.unique_dir("reads-out") / "reads")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            readers = [
                Reader(seed, mount.tree + b"/", contents, READS // THREADS)
                for seed in range(THREADS)
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            self.assertEqual([r.mismatch for r in readers if r.mismatch], [])
            self.assertEqual(sum(r.done for r in readers), READS)
            self.assertGreater(mount.operations()["read"], READS // OTHER_READS // 2)

    def test_mapped_privately_and_executable(self):
        """Mappings that programs make: private writable, executable, of a file shorter than a
        page."""
        tree = support.unique_dir("maps")
        arguments = fs_support.program(tree)
        content = fs_support.odd_bytes(300_001, 8)
        fs_support.put(os.fsencode(tree) + b"/file", content, 0o755)
        bundle = support.build(tree, *arguments, output=support.unique_dir("maps-out") / "maps")
        with self.clean(quiet_host=False), Mounted(bundle) as mount, open(
            mount.tree + b"/file", "rb"
        ) as file:
            with mmap.mmap(
                file.fileno(),
                0,
                flags=mmap.MAP_PRIVATE,
                prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC,
            ) as private:
                self.assertEqual(private[:], content)
                private[1000] ^= 0xFF
                self.assertEqual(file.read(), content)
            with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ) as shared:
                shared.madvise(mmap.MADV_WILLNEED)
                self.assertEqual(hashlib.sha256(shared).digest(), hashlib.sha256(content).digest())
            self.assertRaises(
                OSError,
                mmap.mmap,
                file.fileno(),
                0,
                flags=mmap.MAP_SHARED,
                prot=mmap.PROT_READ | mmap.PROT_WRITE,
            )

    def test_sendfile_and_splice(self):
        tree = support.unique_dir("splice")
        arguments = fs_support.program(tree)
        content = fs_support.odd_bytes(700_001, 9)
        fs_support.put(os.fsencode(tree) + b"/file", content)
        bundle = support.build(tree, *arguments, output=support.unique_dir("splice-out") / "splice")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            for way in ("sendfile", "splice"):
                out = support.unique_dir("copy") / way
                os.close(os.open(out, os.O_CREAT | os.O_WRONLY))
                with self.subTest(way=way), open(mount.tree + b"/file", "rb") as file, open(
                    out, "r+b"
                ) as copy:
                    self.copy(way, file.fileno(), copy.fileno(), len(content))
                    self.assertEqual(out.read_bytes(), content)

    def copy(self, way, source, target, size):
        if way == "sendfile":
            done = 0
            while done < size:
                moved = os.sendfile(target, source, done, size - done)
                self.assertGreater(moved, 0)
                done += moved
            return
        reader, writer = os.pipe()
        try:
            while moved := os.splice(source, writer, 1 << 16):
                while moved:
                    moved -= os.splice(reader, target, moved)
        finally:
            os.close(reader)
            os.close(writer)


class TestReadersSideBySide(support.TestCase):
    seconds = 120

    def test_eight_readers(self):
        """Eight processes read the whole Django tree at once, from a fresh mount; all see the
        same."""
        bundle = support.bundle("python3-django", "-m", "django")
        source = fs_support.keys(fs_support.manifest_of(support.tree("python3-django")))
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            readers = [
                subprocess.Popen(
                    [support.PYTHON, fs_support.HERE / "fs_manifest.py", os.fsdecode(mount.tree)],
                    stdout=subprocess.PIPE,
                    text=True,
                    env=support.clean_env(),
                )
                for _ in range(8)
            ]
            outputs = {}

            def collect(number):
                outputs[number] = readers[number].communicate()[0]

            collectors = [threading.Thread(target=collect, args=(number,)) for number in range(8)]
            for thread in collectors:
                thread.start()
            for thread in collectors:
                thread.join()
            self.assertEqual([reader.returncode for reader in readers], [0] * 8)
        self.assertEqual(len(set(map(self.sorted_text, outputs.values()))), 1)
        shown = fs_manifest.load(outputs[0])
        self.assertEqual(
            "\n".join(fs_support.differences(source, shown, fs_support.compiled_extra)), ""
        )

    @staticmethod
    def sorted_text(text):
        return "\n".join(sorted(text.splitlines()))

    def test_while_the_kernel_forgets(self):
        """Readers go on while names and inodes are forgotten and looked up again."""
        if os.geteuid() != 0:
            self.skipTest("needs root")
        bundle = support.bundle("python3-flask", "-m", "timeit")
        source = fs_support.keys(fs_support.manifest_of(support.tree("python3-flask")))
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            stop = threading.Event()

            def forget():
                while not stop.wait(0.01):
                    mounting.forget_names(mount.root)

            forgetter = threading.Thread(target=forget)
            forgetter.start()
            try:
                for _ in range(4):
                    shown = fs_support.keys(fs_support.manifest_of(mount.tree))
                    self.assertEqual(
                        "\n".join(fs_support.differences(source, shown, fs_support.compiled_extra)),
                        "",
                    )
            finally:
                stop.set()
                forgetter.join()
            self.assertGreater(mount.operations().get("forget", 0), 500)
