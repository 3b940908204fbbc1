"""The mount, a running bundle, `haft extract` and `haft cat` show exactly what was put in."""

import contextlib
import os
import pty
import random

import support
from support import fs_manifest, fs_support
from support.fs_support import differences, keys, manifest_of
from support.mounting import Mounted

SECONDS = 90  # of this file, for the order of starting


class TreeCase(support.TestCase):
    def assert_same(self, source, shown, extra=lambda path, entry: False):
        """Both are {path: key}; differences are reported by path."""
        self.assertEqual("\n".join(differences(source, shown, extra)), "")


class TestDebianTrees(TreeCase):
    """Real applications, compiled and not."""

    seconds = 180

    @support.parametrised(package=support.TREES)
    def test_mounted(self, package):
        bundle = support.bundle(package, "-m", "timeit")
        source = keys(manifest_of(support.tree(package)))
        self.assertGreater(len(source), 20)
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            manifest = manifest_of(mount.tree)
        fs_support.assert_links_and_inodes(self, manifest)
        shown = keys(manifest)
        self.assert_same(source, shown, fs_support.compiled_extra)
        compiled = {path for path in shown if path.endswith(b".cpython-311.pyc")}
        sources = {path for path in shown if path.endswith(b".py")}
        self.assertGreaterEqual(len(compiled), len(sources) * 0.95, "too few modules are compiled")

    def test_mounted_as_it_is(self):
        """--no-compile adds nothing at all."""
        source = keys(manifest_of(support.tree("python3-flask")))
        bundle = support.bundle("python3-flask", "-m", "timeit", "--no-compile")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            self.assert_same(source, keys(manifest_of(mount.tree)))

    def test_inside_the_running_bundle(self, mode):
        """The program walks its own site-packages."""
        tree = support.tree("python3-flask")
        own = support.write_tree(
            support.unique_dir("program"),
            {"fs_manifest.py": (fs_support.HERE / "fs_manifest.py").read_bytes()},
        )
        bundle = support.build(
            [tree, own], "-m", "fs_manifest", output=support.unique_dir("run") / "walker"
        )
        source = keys(manifest_of(tree))
        with self.clean():
            done = support.run([bundle], mode=mode, check=True)
        self.assertEqual(done.stderr, "")
        shown = fs_manifest.load(done.stdout)
        self.assertEqual(shown.pop(b"fs_manifest.py")[0], "file")
        # Two inputs were merged: the common directory has the time of one of them.
        del source[b""], shown[b""]
        self.assert_same(source, shown, fs_support.compiled_extra)

    def test_extracted(self):
        bundle = support.bundle("python3-flask", "-m", "timeit")
        out = support.unique_dir("extract") / "out"
        with self.clean():
            support.haft("extract", bundle, out)
        self.assert_same(
            keys(manifest_of(support.tree("python3-flask"))),
            keys(manifest_of(out / "site-packages")),
            fs_support.compiled_extra,
        )

    def test_listed(self):
        """`haft ls -R` names every entry, `-lR` with its size."""
        bundle = support.bundle("python3-flask", "-m", "timeit")
        source = manifest_of(support.tree("python3-flask"))
        plain = support.haft("ls", "-R", bundle).stdout
        long = support.haft("ls", "-l", "-R", bundle).stdout
        for path, entry in source.items():
            name = os.fsdecode(path.rpartition(b"/")[2])
            self.assertIn(name, plain)
            self.assertIn(name, long)
            if entry.kind == "file":
                self.assertIn(str(entry.size), long)

    def test_printed(self):
        """`haft cat` of several files is their contents one after another."""
        tree = support.tree("python3-flask")
        bundle = support.bundle("python3-flask", "-m", "timeit")
        files = sorted(
            os.fsdecode(path)
            for path, e in manifest_of(tree, contents=False).items()
            if e.kind == "file"
        )
        chosen = random.Random(5).sample(files, 60)
        wanted = b"".join((tree / name).read_bytes() for name in chosen)
        done = support.haft(
            "cat", bundle, *("site-packages/" + name for name in chosen), text=False
        )
        self.assertEqual(done.stdout, wanted)


class TestOddTree(TreeCase):
    """Names, modes, times, sizes and links that a real tree has not got."""

    seconds = 90

    @classmethod
    def setUpClass(cls):
        cls.tree = support.unique_dir("odd")
        arguments = fs_support.write_odd_tree(cls.tree)
        cls.bundle = support.build(
            cls.tree, *arguments, "--no-compile", output=support.unique_dir("odd-out") / "odd"
        )
        cls.source = keys(manifest_of(cls.tree))

    def test_mounted(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            manifest = manifest_of(mount.tree)
            fs_support.assert_links_and_inodes(self, manifest)
            self.assert_same(self.source, keys(manifest))
            for path, entry in manifest.items():
                if entry.kind == "link":  # by path as well as by descriptor
                    self.assertEqual(os.readlink(mount.tree + b"/" + path), entry.target)
                    self.assertEqual(entry.size, len(entry.target))

    def test_extracted(self):
        out = support.unique_dir("odd-extract") / "out"
        with self.clean():
            support.haft("extract", self.bundle, out)
        self.assert_same(self.source, keys(manifest_of(out / "site-packages")))

    def test_printed(self):
        for name in (
            b"names/" + b"n" * 255,
            b"names/\xff\xfe not utf-8 \xc3",
            b"names/new\nline",
            b"sizes/131073",
        ):
            with self.subTest(name=name):
                done = support.haft("cat", self.bundle, b"site-packages/" + name, text=False)
                self.assertEqual(done.stdout, (self.tree / os.fsdecode(name)).read_bytes())

    def test_listing_escapes_names(self):
        """Control characters of names reach neither a terminal nor a pipe; -0 gives names as they
        are."""
        command = [support.HAFT, "ls", self.bundle, "site-packages/names"]
        raw = support.run([*command[:2], "-0", *command[2:]], text=False, check=True).stdout
        self.assertEqual(sorted(raw.split(b"\0")[:-1]), sorted(fs_support.odd_names()))
        piped = support.run(command, text=False, check=True).stdout
        self.assertNotIn(b"\x1b", piped)
        reader, terminal = pty.openpty()
        with support.start(command, stdout=terminal) as process:
            os.close(terminal)
            shown = b""
            with contextlib.suppress(OSError):  # EIO: the other side is closed
                while chunk := os.read(reader, 65536):
                    shown += chunk
            os.close(reader)
        self.assertEqual(process.returncode, 0)
        self.assertNotIn(b"\x1b", shown)
        self.assertEqual(len(shown.splitlines()), len(fs_support.odd_names()))

    def test_follows_links(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            links = mount.tree + b"/links/"
            for name in (b"inside", b"slashes"):
                with open(links + name, "rb") as file:
                    self.assertEqual(file.read(), b"behind the link")
            self.assertTrue(os.path.samefile(links + b"root", b"/"))
            for name, code in (
                (b"loop", "ELOOP"),
                (b"loop-a", "ELOOP"),
                (b"dangling", "ENOENT"),
                (b"long", "ENAMETOOLONG"),
                (b"long-path", "ENOENT|ENAMETOOLONG"),
            ):
                with self.assertRaises(OSError, msg=name) as caught:
                    os.stat(links + name)
                self.assertIn(fs_support.fs_errno.name_of(caught.exception.errno), code.split("|"))

    def test_path_at_its_limit(self):
        """4095 bytes below the root of the image: longer than any path a system call takes in one
        piece."""
        tree = support.unique_dir("limit")
        arguments = fs_support.program(tree)
        names = [b"d" * 255] * 15
        rest = 4095 - len(b"site-packages") - 15 * 256 - 1
        names.append(b"f" * rest)
        directory = os.open(tree, os.O_RDONLY)
        for name in names[:-1]:
            os.mkdir(name, dir_fd=directory)
            below = os.open(name, os.O_RDONLY, dir_fd=directory)
            os.close(directory)
            directory = below
        descriptor = os.open(names[-1], os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=directory)
        os.write(descriptor, b"at the end")
        os.close(descriptor)
        os.close(directory)
        bundle = support.build(
            tree, *arguments, "--no-compile", output=tree.parent / (tree.name + "-bundle")
        )
        source = keys(manifest_of(tree))
        self.assertEqual(len(max(source, key=len)), 4095 - len("site-packages/"))
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            self.assert_same(source, keys(manifest_of(mount.tree)))


class TestManyFiles(TreeCase):
    """70 000 files in 700 directories."""

    seconds = 180

    def test_mounted(self):
        tree = fs_support.memory_dir(self, "many")
        arguments = fs_support.program(tree)
        for directory in range(700):
            path = os.path.join(tree, f"d{directory:03}")
            os.mkdir(path)
            for number in range(100):
                with open(f"{path}/f{number}", "wb", buffering=0) as file:
                    file.write(b"%d of %d\n" % (number, directory) * (number % 50))
        bundle = support.build(
            tree, *arguments, "--no-compile", output=support.unique_dir("many-out") / "many"
        )
        source = keys(manifest_of(tree))
        self.assertGreater(len(source), 70_000)
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            self.assert_same(source, keys(manifest_of(mount.tree)))


class TestSparseFile(TreeCase):
    """5 GiB with four islands of data."""

    seconds = 120
    SIZE = 5 << 30

    @classmethod
    def setUpClass(cls):
        cls.tree = support.unique_dir("sparse")
        arguments = fs_support.program(cls.tree)
        cls.islands = {
            0: fs_support.odd_bytes(5000, 1),
            (1 << 30) + 4096 * 7 + 5: fs_support.odd_bytes(300_000, 2),
            (3 << 30) - 3: b"six by",
            cls.SIZE - (1 << 21): fs_support.odd_bytes(70_000, 3),
        }
        path = cls.tree / "sparse"
        with open(path, "wb") as file:
            file.truncate(cls.SIZE)
            for offset, data in cls.islands.items():
                file.seek(offset)
                file.write(data)
        (cls.tree / "all-hole").touch()
        os.truncate(cls.tree / "all-hole", 1 << 33)
        cls.bundle = support.build(
            cls.tree, *arguments, "--no-compile", output=support.unique_dir("sparse-out") / "sparse"
        )

    def check_contents(self, path):
        status = os.stat(path)
        self.assertEqual(status.st_size, self.SIZE)
        self.assertLess(status.st_blocks * 512, 8 << 20)  # holes are whole blocks of 1 MiB
        with open(path, "rb") as file:
            descriptor = file.fileno()
            for offset, data in self.islands.items():
                around = os.pread(descriptor, len(data) + 8192, max(0, offset - 4096))
                before = min(offset, 4096)
                after = min(self.SIZE - offset - len(data), 8192 - before)
                self.assertEqual(
                    around[: before + len(data) + after], bytes(before) + data + bytes(after)
                )
            chance = random.Random(7)
            for _ in range(300):
                offset = chance.randrange(self.SIZE)
                size = chance.choice((1, 4096, 131073, 1 << 20))
                if not any(
                    offset < o + len(d) and o < offset + size for o, d in self.islands.items()
                ):
                    self.assertEqual(
                        os.pread(descriptor, size, offset), bytes(min(size, self.SIZE - offset))
                    )
            self.check_holes(descriptor)

    def check_holes(self, descriptor):
        """Every island lies in what SEEK_DATA and SEEK_HOLE call data, and little else does."""
        position, data = 0, []
        while True:
            try:
                begin = os.lseek(descriptor, position, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                break
            end = os.lseek(descriptor, begin, os.SEEK_HOLE)
            self.assertGreater(end, begin)
            data.append((begin, end))
            position = end
        for offset, island in self.islands.items():
            self.assertTrue(
                any(begin <= offset and offset + len(island) <= end for begin, end in data),
                f"island at {offset} not in {data}",
            )
        self.assertLess(sum(end - begin for begin, end in data), 8 << 20)
        hole = os.lseek(descriptor, 2 << 30, os.SEEK_HOLE)
        self.assertEqual(hole, 2 << 30)

    def test_mounted(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            self.check_contents(mount.tree + b"/sparse")
            hole = mount.tree + b"/all-hole"
            self.assertEqual(os.stat(hole).st_size, 1 << 33)
            self.assertEqual(os.stat(hole).st_blocks, 0)
            with open(hole, "rb") as file:
                self.assertEqual(os.pread(file.fileno(), 1 << 20, (1 << 33) - 5), bytes(5))
                with self.assertRaises(OSError) as caught:
                    os.lseek(file.fileno(), 0, os.SEEK_DATA)
                self.assertEqual(fs_support.fs_errno.name_of(caught.exception.errno), "ENXIO")

    def test_small_on_disk(self):
        """Holes cost nothing: the bundle is hardly larger than its runtime."""
        (self.tree / "small").mkdir()
        (self.tree / "small" / "m.py").write_text("")
        small = support.build(self.tree / "small", "-m", "m", output=self.bundle.parent / "small")
        self.assertLess(self.bundle.stat().st_size, small.stat().st_size + (2 << 20))

    def test_extracted(self):
        """Extracting makes holes again."""
        out = self.bundle.parent / "extracted"
        support.haft("extract", self.bundle, out)
        self.check_contents(out / "site-packages" / "sparse")
