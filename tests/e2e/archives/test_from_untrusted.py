"""haft build --from a file of somebody else: nothing of it is executed unless that is asked for."""

import os
import zipfile

import support

SECONDS = 20


class TestFromUntrusted(support.TestCase):
    def setUp(self):
        self.out = support.unique_dir("untrusted")

    def archive(self, shebang="/usr/bin/python3"):
        path = self.out / "theirs.pyz"
        with open(path, "wb") as file:
            file.write(f"#!{shebang}\n".encode())
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("__main__.py", "import theirs\n")
                archive.writestr("theirs.py", "raise SystemExit('executed')\n")
        return path

    def build(self, *arguments):
        return support.haft("build", *arguments, "-o", self.out / "new", check=False)

    def test_nothing_is_imported_to_record_a_start(self):
        """Module-level code ran, as root too."""
        archive = self.archive()
        done = self.build("--from", archive)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.build("--from", archive, "--profile", "")
        self.assertIn("executed", done.stderr)

    @support.parametrised(kind=["writable", "directory"])
    def test_interpreter_that_others_could_have_put_there(self, kind):
        """The one of a "#!" line was executed to learn its version."""
        place = self.out / "place"
        place.mkdir()
        python = place / "python3"
        ran = self.out / "ran"
        python.write_text(f"#!/bin/sh\ntouch {ran}\n")
        python.chmod(0o777 if kind == "writable" else 0o755)
        if kind == "directory":
            place.chmod(0o777)
        done = self.build("--from", self.archive(os.fspath(python)))
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, "theirs.pyz'", "interpreter", os.fspath(python), "-p")
        self.assertFalse(ran.exists())
        done = self.build("--from", self.archive(os.fspath(python)), "-p", support.PYTHON)
        self.assertEqual((done.returncode, ran.exists()), (0, False))
