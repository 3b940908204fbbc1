"""Scenarios 22, 24 and 25: the file itself. More: test_fs_mount.TestFileUnderneath,
test_bad_bundles, test_fs_trees, test_fs_reproducible."""

import errno
import hashlib
import os
import random
import re
import shutil
import subprocess
import unittest

import support
from support.tools import needs

SECONDS = 40

# Reads and checks all files of the program's tree whenever a line comes in. Prints how many were
# right and EIO.
READER = """\
import errno, hashlib, os, sys

def digests():
    here = os.path.dirname(os.path.abspath(__file__))
    right, damaged = 0, 0
    for line in SUMS.splitlines():
        digest, name = line.split()
        try:
            with open(os.path.join(here, name), "rb") as file:
                data = file.read()
        except OSError as error:
            assert error.errno == errno.EIO, error
            damaged += 1
            continue
        assert hashlib.sha256(data).hexdigest() == digest, f"wrong bytes in {name}"
        right += 1
    return right, damaged

print("ready", flush=True)
for line in sys.stdin:
    print(*digests(), flush=True)
"""


class Running:
    """The reader in a process of its own, with a copy of its bundle to spoil."""

    def __init__(self, mode):
        directory = support.unique_dir("spoiled", 0o777)
        dice = random.Random(22)
        files = {f"data/f{i:02}": dice.randbytes(dice.randrange(1, 300_000)) for i in range(20)}
        sums = "\n".join(
            f"{hashlib.sha256(content).hexdigest()} {name}" for name, content in files.items()
        )
        tree = support.write_tree(
            directory / "tree", {**files, "reader.py": f'SUMS = """{sums}"""\n{READER}'}
        )
        self.bundle = support.build(
            tree, "-m", "reader", "--no-compile", output=directory / "reader"
        )
        self.content = self.bundle.read_bytes()
        self.process = support.start(
            [self.bundle],
            mode=mode,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.process.stdout.readline()

    def read(self):
        """(files read right, files that gave EIO); anything else ends the program and with it the
        test."""
        self.process.stdin.write("read\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the program ended: {self.process.communicate()[1]}")
        return tuple(map(int, line.split()))

    def end(self):
        self.process.communicate(timeout=20)
        return self.process.returncode


class TestFile(support.TestCase):
    """Scenario 22."""

    def test_copied_over(self, mode):
        """cp over a running bundle: the kernel refuses (ETXTBSY), or the program gets EIO; it is
        not disturbed otherwise."""
        with self.clean():
            running = Running(mode)
            done = support.run(["cp", support.lab(), running.bundle])
            if done.returncode:
                self.assertIn("Text file busy", done.stderr)
                self.assertEqual(running.read(), (20, 0))
                self.assertEqual(running.bundle.read_bytes(), running.content)
            else:
                right, damaged = running.read()
                self.assertEqual(right + damaged, 20)
            self.assertEqual(running.end(), 0)

    def test_replaced_and_removed(self, mode):
        with self.clean():
            running = Running(mode)
            shutil.copy(support.lab(), running.bundle.with_name("new"))
            os.rename(running.bundle.with_name("new"), running.bundle)
            self.assertEqual(running.read(), (20, 0))
            os.unlink(running.bundle)
            self.assertEqual(running.read(), (20, 0))
            self.assertEqual(running.end(), 0)

    def test_written_over_in_place(self, mode):
        """Through a descriptor that was open before the start, where the kernel allows it."""
        with self.clean():
            running = Running(mode)
            try:
                with open(running.bundle, "r+b") as file:
                    file.seek(len(running.content) // 2)
                    file.write(os.urandom(4096))
            except OSError as error:
                self.assertEqual(error.errno, errno.ETXTBSY)
                self.assertEqual(running.read(), (20, 0))
            else:
                right, damaged = running.read()
                self.assertEqual(right + damaged, 20)
            self.assertEqual(running.end(), 0)

    @support.parametrised(part=["runtime", "data", "index", "trailer"])
    def test_next_start_of_a_damaged_file(self, part, mode):
        """One flipped bit: refused with the file's name, or the program gets EIO; never other
        bytes."""
        with (
            self.clean()
        ):  # the server has the file open as its program: nothing can be cut before it has ended
            running = Running(mode)
            running.end()
        about = support.info(running.bundle)
        offset = {
            "runtime": None,
            "data": about["image_offset"] + about["image_size"] // 2,
            "index": None,
            "trailer": len(running.content) - 200,
        }[part]
        outcomes = set()
        for number in range(4):
            spot = offset
            if part == "runtime":  # text, not the padding: where the runtime's own messages are
                spot = running.content.index(b"haft-server") + number
            if part == "index":  # it ends right before the manifest and the trailer
                spot = running.content.rindex(b"reader.py") + number
            spoiled = bytearray(running.content)
            spoiled[spot + (number if part == "data" else 0)] ^= 1 << number
            running.bundle.write_bytes(spoiled)
            with self.clean():
                done = support.run([running.bundle], mode=mode, input="read\n", timeout=20)
            if done.returncode == 125:
                self.assertOneLine(done.stderr, str(running.bundle), start=("haft: ", "reader: "))
                outcomes.add("refused")
            elif done.returncode == 0:
                # A block that no start reads may be 1 MiB: all files in it are lost, and no other.
                self.assertRegex(done.stdout, r"^ready\n\d+ \d+\n$")
                right, failed = map(int, done.stdout.split()[1:])
                self.assertEqual(right + failed, 20)
                self.assertGreaterEqual(right, 10)
                outcomes.add("program")
            else:
                self.assertTrue(done.stderr)
                self.assertNotIn("wrong bytes", done.stderr)
                outcomes.add("failed")
            verified = support.haft("verify", running.bundle, check=False)
            self.assertEqual(verified.returncode, 1, "verify reads every byte, the runtime's too")
        if part == "trailer":
            self.assertEqual(outcomes, {"refused"})

    @support.parametrised(cut=[1, 100, 4096, 0.5, 0.9])
    def test_cut_download(self, cut, mode):
        with (
            self.clean()
        ):  # the server has the file open as its program: nothing can be cut before it has ended
            running = Running(mode)
            running.end()
        length = (
            int(len(running.content) * cut)
            if isinstance(cut, float)
            else len(running.content) - cut
        )
        os.truncate(running.bundle, length)
        with self.clean():
            done = support.run([running.bundle], mode=mode, timeout=20)
        if length > support.info(support.lab())["image_offset"]:
            self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
            self.assertOneLine(done.stderr, str(running.bundle), start=("haft: ", "reader: "))
        else:  # half a program: the kernel or its own loader refuses
            self.assertNotEqual(done.returncode, 0)

    @needs("strip")
    def test_strip_refuses_it(self):
        """Packagers strip every ELF file; what they would write has no image."""
        bundle = shutil.copy(
            support.app("unstripped", {"app.py": "def main(): print('runs')\n"}, "-e", "app:main"),
            support.unique_dir() / "app",
        )
        for command in (["strip"], ["strip", "-g"], ["objcopy", "--strip-unneeded"]):
            done = support.run([*command, bundle], check=False)
            self.assertEqual(done.returncode, 1, command)
        self.assertEqual(support.run([bundle]).stdout, "runs\n")

    def test_verify_covers_every_kind_of_file(self):
        """Not only *.py: data, links, directories and byte code."""
        tree = support.write_tree(
            support.unique_dir("kinds"),
            {
                "m.py": "pass\n" * 50,
                "data.bin": os.urandom(9000),
                "lib.so": b"\x7fELF" + os.urandom(5000),
                "d": None,
            },
        )
        (tree / "link").symlink_to("the-target-of-the-link")
        bundle = support.build(
            tree, "-m", "m", "--uncompressed", output=support.unique_dir("kinds-out") / "kinds"
        )
        self.assertEqual(support.haft("verify", bundle).returncode, 0)
        content = bundle.read_bytes()
        about = support.info(bundle)
        dice = random.Random(5)
        spots = [
            content.index((tree / name).read_bytes()[1000:1100]) for name in ("data.bin", "lib.so")
        ]
        spots += [content.index(b"the-target-of-the-link"), content.rindex(b"data.bin")]
        spots += [dice.randrange(about["image_offset"] + 64, len(content)) for _ in range(20)]
        for spot in spots:
            spoiled = bytearray(content)
            spoiled[spot] ^= 0x10
            bundle.write_bytes(spoiled)
            done = support.haft("verify", bundle, check=False)
            self.assertEqual(done.returncode, 1, f"byte {spot} of {len(content)}")
            self.assertIn(str(bundle), done.stderr)


class TestSize(support.ScenarioCase):
    """Scenario 24."""

    seconds = 800 if support.LONG else 120

    WALK = (
        "import os, sys\n"
        "def main():\n"
        "    here = os.path.dirname(os.path.abspath(__file__)) + '/tree'\n"
        "    files = size = 0\n"
        "    for directory, names, leaves in os.walk(here):\n"
        "        names.sort()\n"
        "        files += len(leaves)\n"
        "        for leaf in leaves: size += os.lstat(os.path.join(directory, leaf)).st_size\n"
        "    print(files, size, os.listdir(here) == sorted(os.listdir(here)) if '/run/haft/' in "
        "here else True)\n"
    )

    def many(self, number, directories):
        tree = support.write_tree(support.unique_dir("many"), {"walk.py": self.WALK})
        for d in range(directories):
            path = f"{tree}/tree/d{d:04}"
            os.makedirs(path)
            for n in range(number // directories):
                with open(f"{path}/f{n:05}", "wb", buffering=0) as file:
                    file.write(b"%d" % n)
        return support.Both("many", tree, "-e", "walk:main")

    def test_5000_files(self):
        said = self.same(self.many(5_000, 50), mode=support.MODES[-1])
        self.assertTrue(said.startswith("5000 "), said)

    @support.long_test
    @support.parametrised(directories=[1000, 1])
    def test_100000_files(self, directories):
        said = self.same(self.many(100_000, directories), timeout=200)
        self.assertTrue(said.startswith("100000 "), said)

    def noise(self, path, size, seed):
        """A file that cannot be compressed, made quickly; returns its sha256."""
        block = random.Random(seed).randbytes(1 << 20)
        digest = hashlib.sha256()
        with open(path, "wb") as file:
            for number in range(size >> 20):
                piece = number.to_bytes(8, "little") + block[8:]
                file.write(piece)
                digest.update(piece)
        return digest.hexdigest()

    def large(self, sizes):
        """Files of these sizes in MiB come out as they went in, through the program and through
        haft cat."""
        tree = support.write_tree(
            support.unique_dir("large"),
            {
                "large.py": (
                    "import hashlib, os, sys\n"
                    "def main():\n"
                    "    for name in sorted(os.listdir(os.path.dirname(__file__) + '/data')):\n"
                    "        digest = hashlib.sha256()\n"
                    "        with open(os.path.dirname(__file__) + '/data/' + name, 'rb') as "
                    "file:\n"
                    "            while piece := file.read(1 << 20): digest.update(piece)\n"
                    "            file.seek(-5, 2); tail = file.read()\n"
                    "        print(name, digest.hexdigest(), tail.hex())\n"
                ),
                "data": None,
            },
        )
        wanted = {
            f"f{i}": self.noise(tree / f"data/f{i}", size << 20, i) for i, size in enumerate(sizes)
        }
        output = support.unique_dir("large-out") / "large"
        support.build(tree, "-e", "large:main", output=output, timeout=800)
        self.addCleanup(output.unlink)
        self.addCleanup(shutil.rmtree, tree)
        self.assertGreater(output.stat().st_size, sum(sizes) << 20)
        with self.clean():
            done = support.run([output], mode=support.MODES[-1], timeout=600, check=True)
        self.assertEqual(
            {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}, wanted
        )
        self.assertEqual(support.haft("verify", output, timeout=600).returncode, 0)

    def test_large_files(self):
        self.large([70, 3])

    @support.long_test
    def test_file_of_3_gigabytes_and_more_than_4_in_all(self):
        self.large([3072, 1200])

    def test_hard_links_come_out_as_files(self):
        """Two names of one file have its contents both, and take its place once."""
        tree = support.write_tree(
            support.unique_dir("linked"), {"m.py": "", "one": random.Random(9).randbytes(500_000)}
        )
        os.link(tree / "one", tree / "two")
        bundle = support.build(tree, "-m", "m", output=support.unique_dir("linked-out") / "linked")
        for name in ("one", "two"):
            self.assertEqual(
                support.haft("cat", bundle, f"site-packages/{name}", text=False).stdout,
                (tree / "one").read_bytes(),
            )
        self.assertLess(support.info(bundle)["image_size"], 600_000)

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_modes_without_a_right_to_read(self):
        """A wheel with 0000 and 0111 in it, built by root: the modes are kept, root reads them,
        others get EACCES."""
        tree = support.write_tree(
            support.unique_dir("modes"),
            {
                "m.py": (
                    "import os, sys\nhere = os.path.dirname(__file__)\n"
                    "for name in ('none', 'execute'):\n"
                    "    try: print(oct(os.stat(f'{here}/{name}').st_mode), "
                    "open(f'{here}/{name}').read())\n"
                    "    except PermissionError: print(name, 'EACCES')\n"
                    "print(os.listdir(here + '/empty'))\n"
                ),
                "none": "text",
                "execute": "text",
                "empty": None,
            },
        )
        (tree / "none").chmod(0)
        (tree / "execute").chmod(0o111)
        bundle = support.build(tree, "-m", "m", output=support.unique_dir("modes-out") / "modes")
        said = {}
        for mode in support.MODES:
            with self.clean():
                said[mode] = support.run([bundle], mode=mode, check=True).stdout
        self.assertEqual(said["namespace"], "0o100000 text\n0o100111 text\n[]\n")
        self.assertIn(said["userns"], ("none EACCES\nexecute EACCES\n[]\n", said["namespace"]))


class TestBuild(support.TestCase):
    """Scenario 25. Umask, locale, TZ, file order, SOURCE_DATE_EPOCH: test_fs_reproducible; wrong
    Python: test_bad_bundles.TestInterpreter."""

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_another_user_and_another_host_name(self):
        """Built by root and by somebody else, from a tree of another owner, under another host
        name, at another time: the same bytes."""
        tree = support.tree("python3-flask")
        outputs = []
        for number in range(2):
            place = support.unique_dir("who", 0o777)
            copy = place / "copy"
            subprocess.run(["cp", "-a", tree, copy], check=True)
            command = [
                support.HAFT,
                "build",
                "--site-packages",
                copy,
                "-m",
                "flask",
                "--name",
                "flask",
                "-o",
                place / "out",
            ]
            if number:
                subprocess.run(["chown", "-R", "4242:4343", copy], check=True)
                command = [
                    "unshare",
                    "--uts",
                    "sh",
                    "-c",
                    'hostname elsewhere; exec "$@"',
                    "sh",
                    *map(
                        str,
                        [
                            *support.PERSON.drop(),
                            *command,
                        ],
                    ),
                ]
            support.run(command, check=True, timeout=100)
            outputs.append((place / "out").read_bytes())
        self.assertEqual(hashlib.sha256(outputs[0]).digest(), hashlib.sha256(outputs[1]).digest())

    def test_nothing_is_compiled_at_the_start(self, mode):
        """python -v: of the bundle's modules every one comes from byte code, and no byte code could
        not be made."""
        bundle = support.bundle("python3-flask", "-m", "flask")
        with self.clean():
            done = support.run(
                [bundle, "--version"],
                mode=mode,
                check=True,
                env=support.clean_env(PYTHONVERBOSE="1"),
            )
        self.assertNotIn("could not create", done.stderr)
        sources = re.findall(r"(?m)^# code object from '?(/run/haft/.*\.py)'?$", done.stderr)
        self.assertEqual(sources, [])
        self.assertGreater(
            len(re.findall(r"(?m)^# code object from '?/run/haft/.*\.pyc'?$", done.stderr)), 20
        )
