"""ls, cat, info, verify, extract, mount of zip archives that haft has not made."""

import json
import os
import pathlib
import signal
import subprocess
import time
import zipfile

import support
from support import archives
from support.archives import damage

FILES = {
    "app/__init__.py": "",
    "app/cli.py": "def main(): print('app')\n",
    "app/data.bin": bytes(range(256)) * 2000,
    "app/tool.sh": ("#!/bin/sh\n", 0o755),
    "app-1.0.dist-info/entry_points.txt": "[console_scripts]\napp = app.cli:main\n",
}
STUBS = {
    "nothing": b"",
    "shebang": b"#!/usr/bin/env python3\n",
    "script": b"#!/bin/sh\n" + b"echo something\n" * 1000,
    "program": pathlib.Path("/bin/true").read_bytes(),
}


def snapshot(directory):
    """{relative path: (mode, contents)} of the files below a directory."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode & 0o7777, path.read_bytes())
        for path in pathlib.Path(directory).rglob("*")
        if path.is_file()
    }


EXPECTED = {
    name: (content[1], content[0].encode())
    if isinstance(content, tuple)
    else (0o644, content.encode() if isinstance(content, str) else content)
    for name, content in FILES.items()
}


class TestArchiveFiles(support.TestCase):
    @support.parametrised(stub=STUBS)
    def test_whatever_is_in_front(self, stub):
        for adjusted in (True, False):
            directory = support.unique_dir()
            file = archives.write_zip(
                directory / "a.zip", FILES, stub=STUBS[stub] if adjusted else b""
            )
            if not adjusted:  # as `cat stub a.zip` makes it
                file.write_bytes(STUBS[stub] + file.read_bytes())
            self.assertEqual(
                support.haft("ls", file, "app").stdout.split(),
                ["__init__.py", "cli.py", "data.bin", "tool.sh"],
            )
            self.assertEqual(support.haft("cat", file, "app/cli.py").stdout, FILES["app/cli.py"])
            support.haft("verify", file)
            support.haft("extract", file, directory / "out")
            self.assertEqual(snapshot(directory / "out"), EXPECTED)

    def test_mount(self):
        directory = support.unique_dir()
        file = archives.zipapp(directory / "a.pyz", {**FILES, "__main__.py": ""})
        place = directory / "m"
        place.mkdir()
        with self.clean(quiet_host=False):
            support.haft("mount", file, place)
            try:
                found = snapshot(place)
            finally:
                support.haft("umount", place)
        self.assertEqual({k: v for k, v in found.items() if k in EXPECTED}, EXPECTED)

    def test_info(self):
        directory = support.unique_dir()
        cases = {
            "shiv": archives.shiv(
                directory / "s.pyz", FILES, entry_point="app.cli:main", script="app"
            ),
            "pex": archives.pex(
                directory / "p.pex", {}, {"app-1.0-py3-none-any.whl": FILES}, info={"script": "app"}
            ),
            "zipapp": archives.zipapp(
                directory / "z.pyz", {**FILES, "__main__.py": "import app.cli; app.cli.main()\n"}
            ),
            "wheel": archives.wheel(
                directory / "app-1.0-py3-none-any.whl", "app", {"app/__init__.py": ""}
            ),
            "zip": archives.write_zip(directory / "plain.zip", {"a.txt": "x"}),
        }
        for kind, file in cases.items():
            about = support.info(file)
            self.assertEqual(about["kind"], kind)
            with zipfile.ZipFile(file) as archive:
                self.assertEqual(about["files"], len(archive.infolist()))
                self.assertEqual(about["bytes"], sum(info.file_size for info in archive.infolist()))
            self.assertIn(kind, support.haft("info", file).stdout)
        self.assertEqual(support.info(cases["shiv"])["build_id"], "0123456789abcdef")
        self.assertEqual(support.info(support.lab())["kind"], "bundle")

    def test_wrong_crc_is_seen_though_the_size_is_right(self):
        directory = support.unique_dir()
        for compressed in (True, False):
            file = archives.write_zip(directory / "a.zip", FILES, compressed=compressed)
            damage(file, "app/data.bin")
            done = support.haft("verify", file, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertOneLine(done.stderr, "'app/data.bin'", "damaged")
            done = support.haft("extract", file, directory / "out", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertOneLine(done.stderr, "'app/data.bin'", "damaged")
            self.assertEqual(os.listdir(directory), ["a.zip"])
            done = support.haft("cat", file, "app/data.bin", check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(
                support.haft("cat", file, "app/cli.py").stdout, FILES["app/cli.py"]
            )  # the others are fine

    def test_full_disk_leaves_nothing(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small tmpfs")
        directory = support.unique_dir()
        file = archives.write_zip(
            directory / "a.zip", {f"f{i}": os.urandom(100_000) for i in range(30)}
        )
        script = (
            'mount -t tmpfs -o size=1m none "$1" && "$2" extract "$3" "$1/out"; echo "$? '
            '$(ls -A "$1")"'
        )
        (directory / "small").mkdir()
        done = support.run(
            ["unshare", "-m", "sh", "-c", script, "sh", directory / "small", support.HAFT, file]
        )
        self.assertEqual(done.stdout.strip(), "1")
        self.assertOneLine(done.stderr, "No space left")

    def test_killed_extraction_leaves_nothing_under_its_name_and_the_next_cleans_up(self):
        directory = support.unique_dir()
        file = archives.write_zip(
            directory / "a.zip", {f"d{i % 50}/f{i}": os.urandom(5000) for i in range(3000)}
        )
        (directory / "in").mkdir()
        target = directory / "in" / "out"
        killed = 0
        for delay in (0.01, 0.03, 0.06, 0.1, 0.2):
            process = subprocess.Popen(
                [support.HAFT, "extract", file, target], env=support.clean_env()
            )
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            if process.wait() == -signal.SIGKILL:
                killed += 1
                self.assertFalse(target.exists())
            else:
                break
        self.assertGreater(killed, 0)
        if not target.exists():
            support.haft("extract", file, target)
        self.assertEqual(os.listdir(directory / "in"), ["out"])
        self.assertEqual(len(snapshot(target)), 3000)

    @support.parametrised(number=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_interrupted_extraction_leaves_nothing(self, number):
        """Ctrl-C had left a hidden directory beside the target until the next extraction."""
        directory = support.unique_dir()
        file = archives.write_zip(
            directory / "a.zip", {f"d{i % 50}/f{i}": os.urandom(5000) for i in range(8000)}
        )
        (directory / "in").mkdir()
        process = subprocess.Popen(
            [support.HAFT, "extract", file, directory / "in" / "out"],
            env=support.clean_env(),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.assertTrue(support.wait_until(lambda: os.listdir(directory / "in")))
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        self.assertEqual(
            (process.returncode, errors, os.listdir(directory / "in")), (-number, "", [])
        )

    @support.parametrised(verb=["ls", "info", "verify", "cat", "extract"])
    def test_hostile_archive_is_one_line(self, verb):
        directory = support.unique_dir()
        file = archives.write_zip(directory / "evil.zip", {"../../evil\nname": "x"})
        done = support.haft(
            verb, file, *{"cat": ["x"], "extract": [directory / "out"]}.get(verb, []), check=False
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertOneLine(done.stderr, "evil.zip", "evil\\x0aname", "'..'")
        self.assertEqual(os.listdir(directory), ["evil.zip"])

    def test_json_of_an_odd_description_is_json(self):
        directory = support.unique_dir()
        file = archives.shiv(directory / "s.pyz", FILES, environment={"build_id": "\n\u00e4\x1b"})
        self.assertEqual(
            json.loads(support.haft("info", "--json", file).stdout)["build_id"], "\n\u00e4\x1b"
        )
        self.assertNotIn("\x1b", support.haft("info", file).stdout)
