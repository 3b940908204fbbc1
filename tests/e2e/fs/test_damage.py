"""Damaged bundles: the right bytes or an error, never anything else, and a message that says what
is wrong."""

import errno
import os
import random
import re
import shutil
import subprocess

import support
from support import fs_image, fs_manifest, fs_support
from support.mounting import Mounted

SECONDS = 60
FILES = 700


def small_tree():
    """A tree whose index has several chunks and whose contents have blocks of each kind."""
    tree = support.unique_dir("small")
    (tree / "many").mkdir()
    for number in range(FILES):
        (tree / "many" / f"module_number_{number}.py").write_text(
            f"VALUE = {number}\n" * (number % 40)
        )
    for number in range(6):
        root = os.fsencode(tree)
        fs_support.put(
            root + b"/large-%d" % number,
            fs_support.odd_bytes(150_000 if number else 1_200_000, number),
        )
        fs_support.put(
            root + b"/noise-%d" % number, random.Random(number).randbytes(200_000 + number)
        )
        os.symlink(b"large-%d" % number, root + b"/link-%d" % number)
    return tree, fs_support.program(tree)


class DamageCase(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree, arguments = small_tree()
        cls.bundle = support.build(
            cls.tree, *arguments, "--no-compile", output=support.unique_dir("whole") / "small"
        )
        cls.image = fs_image.Image(cls.bundle)
        cls.source = fs_support.keys(fs_support.manifest_of(cls.tree))
        cls.damaged = support.unique_dir("damaged") / "small"

    def write_damaged(self, data):
        self.damaged.write_bytes(data)
        self.damaged.chmod(0o755)
        return self.damaged

    def flip(self, offset, bit):
        data = bytearray(self.image.data)
        data[offset] ^= 1 << bit
        return self.write_damaged(data)

    def positions(self, seed, counts):
        """[(part, offset, bit)]: so many seeded positions in the parts whose names begin with the
        keys."""
        chance = random.Random(seed)
        found = []
        for name, count in counts.items():
            parts = [part for part in self.image.parts() if part.name.startswith(name)]
            if not parts:
                continue
            offsets = {part.start for part in parts} | {part.end - 1 for part in parts}
            while len(offsets) < min(count, sum(part.end - part.start for part in parts)):
                part = chance.choice(parts)
                offsets.add(chance.randrange(part.start, part.end))
            found += [(name, offset, chance.randrange(8)) for offset in sorted(offsets)]
        return found


class TestVerify(DamageCase):
    seconds = 90

    def test_whole(self):
        """The undamaged bundle is fine, and the parts the other tests damage are all of it."""
        done = support.haft("verify", self.bundle)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(sum(part.end - part.start for part in self.image.parts()), self.image.size)

    def test_every_flip_is_found(self):
        """One flipped bit anywhere: runtime, padding, header, blocks, index, manifest, trailer."""
        positions = self.positions(
            11,
            {
                "runtime": 25,
                "padding": 20,
                "header": 15,
                "blocks": 30,
                "index": 30,
                "chunk digests": 10,
                "manifest": 10,
                "trailer": 25,
            },
        )
        self.assertGreater(len(positions), 140)
        for name, offset, bit in positions:
            with self.subTest(part=name, offset=offset, bit=bit):
                damaged = self.flip(offset, bit)
                done, seconds = fs_support.processor_time(
                    lambda: support.haft("verify", damaged, check=False, timeout=30)
                )
                self.assertEqual(
                    done.returncode, 1, f"not found, or crashed: {done.stdout}{done.stderr}"
                )
                self.assertRegex(done.stderr, r"^haft: ")
                self.assertLess(seconds, 1 * fs_support.SLOWNESS)

    def test_names_the_files(self):
        """verify says which files a damaged block takes with it."""
        number = next(
            i for i in range(len(self.image.blocks)) if len(self.image.files_of_block(i)) == 1
        )
        (path,) = self.image.files_of_block(number)
        damaged = self.flip(self.image.image_offset + self.image.blocks[number][0] + 5, 3)
        done = support.haft("verify", damaged, check=False)
        self.assertIn(os.fsdecode(path), done.stdout + done.stderr)


class TestMountedDamage(DamageCase):
    seconds = 120

    def read_damaged(self, damaged):
        """Mounts and reads everything. Returns (manifest, errors {path: errno}) or None if the
        mount was refused."""
        point = support.unique_dir("damaged-mnt")
        done = support.haft("mount", damaged, point, check=False, timeout=10)
        if done.returncode:
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertOneLine(done.stderr)
            return None
        errors = {}
        try:
            try:
                shown = fs_manifest.manifest(
                    os.fsencode(point) + b"/site-packages",
                    on_error=lambda path, code: errors.setdefault(path.rstrip(b"/"), code),
                )
            except OSError as error:  # not even the root of the tree
                errors[b""] = error.errno
                shown = {}
        finally:
            support.haft("umount", point)
        return shown, errors

    def check_read(self, damaged):
        """Every entry right, or EIO for it or something above it. Returns (paths with errors,
        shown) or None."""
        result = self.read_damaged(damaged)
        if result is None:
            return None
        shown, errors = result
        self.assertEqual(set(errors.values()) - {errno.EIO}, set(), errors)
        for path, entry in shown.items():
            self.assertIn(path, self.source, "a path that is not in the source")
            if path not in errors:
                self.assertEqual(entry.key(), self.source[path], f"wrong and no error: {path!r}")
        for path in self.source:
            if path not in shown:
                above = (
                    {path}
                    | {path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"}
                    | {b""}
                )
                self.assertTrue(above & set(errors), f"missing without an error: {path!r}")
        return set(errors), shown

    def test_flipped_blocks(self):
        """Exactly the files that need the damaged block fail; all others are right."""
        chance = random.Random(21)
        blocks = chance.sample(range(len(self.image.blocks)), min(15, len(self.image.blocks)))
        with self.clean(quiet_host=False):
            for number in blocks:
                block = self.image.blocks[number]
                offset = self.image.image_offset + block[0] + chance.randrange(block[1])
                with self.subTest(block=number, offset=offset):
                    result = self.check_read(self.flip(offset, chance.randrange(8)))
                    self.assertIsNotNone(result, "a damaged block is no reason to refuse the mount")
                    wanted = {
                        path.removeprefix(b"site-packages/")
                        for path in self.image.files_of_block(number)
                    }
                    self.assertEqual(
                        result[0], {path for path in wanted if not path.startswith(b".haft/")}
                    )

    def test_flipped_elsewhere(self):
        """Index, manifest, header, trailer: refused, or the right bytes, or EIO for what is
        damaged."""
        with self.clean(quiet_host=False):
            for name, offset, bit in self.positions(
                22,
                {
                    "index": 18,
                    "chunk digests": 4,
                    "manifest": 3,
                    "header": 3,
                    "trailer": 4,
                    "padding": 3,
                },
            ):
                with self.subTest(part=name, offset=offset, bit=bit):
                    self.check_read(self.flip(offset, bit))

    def test_damaged_chunk_spares_the_others(self):
        """A chunk of the index in the middle of the names: something fails, much still works."""
        parts = {part.name: part for part in self.image.parts()}
        offset = parts["index"].start + 16384 + 5000
        self.assertLess(offset + 16384, parts["index"].end, "the tree is too small for this test")
        with self.clean(quiet_host=False):
            errors, shown = self.check_read(self.flip(offset, 2))
        self.assertTrue(errors)
        right = [path for path in shown if path not in errors]
        self.assertGreater(len(right), 10)

    def test_server_survives(self):
        """After an EIO the same server still answers, for the good files and again with EIO for the
        bad one."""
        number = next(
            i for i in range(len(self.image.blocks)) if len(self.image.files_of_block(i)) == 1
        )
        (bad,) = self.image.files_of_block(number)
        damaged = self.flip(self.image.image_offset + self.image.blocks[number][0] + 9, 1)
        with self.clean(quiet_host=False), Mounted(damaged) as mount:
            server = mount.server()
            for _ in range(3):
                with self.assertRaises(OSError) as caught, open(
                    mount.root + b"/" + bad, "rb"
                ) as file:
                    file.read()
                self.assertEqual(caught.exception.errno, errno.EIO)
                with open(mount.tree + b"/" + fs_support.MODULE.encode() + b".py") as file:
                    self.assertEqual(file.read(), fs_support.PROGRAM)
            self.assertEqual(mount.server(), server)
            self.assertTrue(fs_support.alive(server))


class TestTruncated(DamageCase):
    seconds = 120

    def lengths(self):
        chance = random.Random(31)
        edges = {
            0,
            1,
            255,
            256,
            257,
            self.image.size - 1,
            self.image.size - 255,
            self.image.size - 257,
        }
        for part in self.image.parts():
            edges |= {part.start, part.start + 1, part.end - 1}
        edges |= {self.image.image_offset + 64 + extra for extra in (-1, 0, 1, 100)}
        for block in self.image.blocks[1:4]:
            edges.add(self.image.image_offset + block[0])
        while len(edges) < 60:
            edges.add(chance.randrange(self.image.size))
        return sorted(length for length in edges if length < self.image.size)

    def check_message(self, text, length):
        """Has N bytes, needs M. Without the header nobody knows how many it needs: then, that the
        end is missing."""
        self.assertOneLine(text)
        if length >= self.image.image_offset + fs_image.HEADER_SIZE:
            self.assertRegex(
                text, rf"\b{length} bytes?\b", f"does not say how many bytes there are: {text}"
            )
            self.assertRegex(
                text, rf"\b{self.image.size}\b", f"does not say how many it needs: {text}"
            )
        else:
            self.assertRegex(text, rf"\b({length} bytes?|trailer|empty)\b")

    def test_looking_inside(self):
        for length in self.lengths():
            damaged = self.write_damaged(self.image.data[:length])
            for verb in ("info", "verify"):
                with self.subTest(length=length, verb=verb):
                    done, seconds = fs_support.processor_time(
                        lambda: support.haft(verb, damaged, check=False, timeout=30)
                    )
                    self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                    self.check_message(done.stderr, length)
                    self.assertLess(seconds, 1 * fs_support.SLOWNESS)

    def test_other_commands(self):
        damaged = self.write_damaged(self.image.data[:-1])
        point = support.unique_dir("truncated-mnt")
        out = point / "out"
        for command in (
            ["ls", damaged],
            ["cat", damaged, "site-packages/large-1"],
            ["mount", damaged, point],
            ["extract", damaged, out],
        ):
            with self.subTest(command=command[0]), self.clean():
                done = support.haft(*command, check=False)
                self.assertEqual(done.returncode, 1)
                self.check_message(done.stderr, len(self.image.data) - 1)
        self.assertFalse(out.exists())

    def test_running(self):
        """With the whole runtime there, it says what is missing; with less of it there is no
        program to say so."""
        runtime = self.image.trailer["runtime_size"]
        for length in self.lengths():
            damaged = self.write_damaged(self.image.data[:length])
            with self.subTest(length=length), self.clean():
                try:
                    done = subprocess.run(
                        [damaged],
                        check=False,
                        capture_output=True,
                        text=True,
                        timeout=10,
                        env=support.clean_env(),
                        errors="replace",
                    )
                except OSError as error:  # not a program at all
                    self.assertEqual(error.errno, errno.ENOEXEC)
                    self.assertLess(length, runtime)
                    continue
                self.assertNotEqual(done.returncode, 0)
                if length >= runtime:
                    self.assertEqual(done.returncode, 125, done.stderr)
                    self.check_message(done.stderr, length)


class TestAppended(DamageCase):
    def check_refused(self, damaged, surplus=None):
        for verb in ("info", "verify", "ls"):
            done = support.haft(verb, damaged, check=False)
            self.assertEqual(done.returncode, 1, f"{verb}: {done.stdout}{done.stderr}")
            self.assertOneLine(done.stderr)
            if surplus:
                self.assertRegex(
                    done.stderr, rf"\b{surplus}\b", "does not say how many bytes are too many"
                )
        with self.clean():
            done = support.run([damaged])
            self.assertEqual(done.returncode, 125, done.stdout + done.stderr)
            self.assertOneLine(done.stderr)

    def test_bytes(self):
        for surplus, byte in (
            (1, b"\0"),
            (1, b"x"),
            (4096, b"\0"),
            (4096, b"\xff"),
            (1 << 20, b"\0"),
        ):
            with self.subTest(surplus=surplus, byte=byte):
                self.check_refused(self.write_damaged(self.image.data + byte * surplus), surplus)

    def test_another_bundle(self):
        """Two bundles in a row are neither of the two."""
        other = support.lab()
        self.check_refused(self.write_damaged(self.image.data + other.read_bytes()))
        padded = self.image.data + bytes(-len(self.image.data) % 4096) + other.read_bytes()
        self.check_refused(self.write_damaged(padded))

    def test_another_image(self):
        """The image of one bundle behind another bundle."""
        other = fs_image.Image(support.lab())
        self.check_refused(self.write_damaged(self.image.data + other.data[other.image_offset :]))
        padding = bytes(-len(self.image.data) % 4096)
        self.check_refused(
            self.write_damaged(self.image.data + padding + other.data[other.image_offset :])
        )

    def test_bare_image(self):
        """An image without a runtime in front is no damage: it can be read."""
        bare = self.damaged.parent / "bare"
        bare.write_bytes(self.image.data[self.image.image_offset :])
        done = support.haft("ls", bare, check=False)
        # Its trailer names a runtime that is not there.
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr)


class TestUnrelatedFiles(support.TestCase):
    def test_not_a_bundle(self):
        directory = support.unique_dir("unrelated")
        (directory / "text").write_text("hello\n" * 1000)
        (directory / "empty").touch()
        shutil.copy("/bin/true", directory / "program")
        for name in ("text", "empty", "program"):
            for verb in ("info", "verify", "ls"):
                with self.subTest(name=name, verb=verb):
                    done = support.haft(verb, directory / name, check=False)
                    self.assertEqual(done.returncode, 1)
                    self.assertOneLine(done.stderr, name)
        for path in (directory, directory / "missing", "/dev/null"):
            with self.subTest(path=str(path)):
                done = support.haft("info", path, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertOneLine(done.stderr, str(path))
                self.assertTrue(re.search(r"; |: ", done.stderr))
