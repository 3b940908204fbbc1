"""The same input gives the same bytes, wherever, whenever and by whomever it is built."""

import os
import pathlib
import random
import shutil
import subprocess

import support
from support import fs_support

SECONDS = 40


class TestReproducible(support.TestCase):
    seconds = 120

    def build(self, tree, arguments, name="same", env=None, umask=None, cwd=None):
        out = support.unique_dir("out") / "other-file-name"
        command = [
            support.HAFT,
            "build",
            "--site-packages",
            tree,
            *arguments,
            "--name",
            name,
            "-o",
            out,
        ]
        environment = support.clean_env(**(env or {}))
        options = {"umask": umask} if umask is not None else {}
        support.run(command, env=environment, check=True, cwd=cwd, timeout=100, **options)
        return out

    def assert_same_bytes(self, first, second):
        if subprocess.run(["cmp", "-s", first, second], check=False).returncode:
            shown = subprocess.run(
                ["cmp", first, second], capture_output=True, text=True, check=False
            ).stdout
            self.fail(
                f"not the same bytes: {shown}{first.stat().st_size} and "
                f"{second.stat().st_size} bytes"
            )

    @support.parametrised(compiled=[True, False])
    def test_other_circumstances(self, compiled):
        """Another directory, umask, time zone, language, working directory, number of workers,
        user's home."""
        arguments = ["-m", "django", *([] if compiled else ["--no-compile"])]
        tree = support.tree("python3-django")
        first = self.build(
            tree, [*arguments, "--jobs", "1"], env={"TZ": "UTC", "LANG": "C"}, umask=0o022
        )
        copy = support.unique_dir("copy") / "deeper" / "another name with spaces"
        copy.parent.mkdir()
        subprocess.run(["cp", "-a", tree, copy], check=True)
        second = self.build(
            copy.name,
            [*arguments, "--jobs", "3"],
            umask=0o027,
            cwd=copy.parent,
            env={
                "TZ": "Asia/Kathmandu",
                "LANG": "de_DE.UTF-8",
                "LC_ALL": "C.UTF-8",
                "HOME": "/nonexistent",
                "TMPDIR": "/var/tmp",
                "PYTHONHASHSEED": "123",
            },
        )
        self.assert_same_bytes(first, second)

    def test_order_of_creation(self):
        """A directory whose entries were made in another order, on file systems that show that
        order."""
        files = {f"d{i % 7}/m{i}.py": f"VALUE = {i}\n" * (i % 30) for i in range(300)}
        files |= {
            f"data/{i}": fs_support.odd_bytes(i * 700, i % 5).decode("latin-1").encode()
            for i in range(60)
        }
        outputs = []
        for number, place in enumerate((support.scratch(), "/dev/shm", "/dev/shm")):
            names = sorted(files)
            random.Random(number).shuffle(names)
            tree = support.unique_dir("order") if place != "/dev/shm" else self.memory_dir()
            for name in names:
                support.write_tree(tree, {name: files[name]})
            (tree / "link").symlink_to("data/5")
            for path in [*tree.rglob("*"), tree]:
                os.utime(path, ns=(10**18 + 7, 10**18 + 7), follow_symlinks=False)
            outputs.append(self.build(tree, ["-m", "d0.m0"]))
        self.assert_same_bytes(outputs[0], outputs[1])
        self.assert_same_bytes(outputs[0], outputs[2])

    def memory_dir(self):
        path = pathlib.Path(
            subprocess.check_output(["mktemp", "-d", "/dev/shm/haft-e2e-XXXXXX"], text=True).strip()
        )
        path.chmod(0o755)
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def test_again_and_again(self):
        """Ten builds with two workers race in ten different ways."""
        tree = support.tree("python3-flask")
        first = self.build(tree, ["-m", "flask"])
        for _ in range(9):
            self.assert_same_bytes(first, self.build(tree, ["-m", "flask", "--jobs", "2"]))

    def test_odd_tree(self):
        tree = support.unique_dir("odd-again")
        arguments = fs_support.write_odd_tree(tree)
        copy = support.unique_dir("odd-copy") / "c"
        subprocess.run(["cp", "-a", "--sparse=always", tree, copy], check=True)
        self.assert_same_bytes(
            self.build(tree, arguments), self.build(copy, [*arguments, "--jobs", "1"])
        )

    def test_source_date_epoch(self):
        """It caps all times: files touched later no longer matter."""
        tree = support.unique_dir("epoch")
        support.write_tree(tree, {"m.py": "pass\n", "data/x": "x"})
        copies = []
        for moment in (1_700_000_000, 1_800_000_000):
            for path in [*tree.rglob("*"), tree]:
                os.utime(path, (moment, moment))
            copies.append(self.build(tree, ["-m", "m"], env={"SOURCE_DATE_EPOCH": "1600000000"}))
        self.assert_same_bytes(*copies)

    def test_other_input_other_bytes(self):
        """The comparison would notice: one byte, one mode or one time makes another file."""
        tree = support.unique_dir("other")
        support.write_tree(tree, {"m.py": "pass\n", "x": "one"})
        os.utime(tree / "x", (10**9, 10**9))
        first = self.build(tree, ["-m", "m"])
        (tree / "x").chmod(0o600)
        second = self.build(tree, ["-m", "m"])
        os.utime(tree / "x", (10**9 + 1, 10**9 + 1))
        third = self.build(tree, ["-m", "m"])
        self.assertEqual(len({path.read_bytes() for path in (first, second, third)}), 3)
