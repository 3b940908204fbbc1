"""Every archive of a corpus of good and hostile zips through the real commands, against its oracle
and Python's zipfile.

HAFT_ZIP_CORPUS names the corpus (tests/archive/corpus_test.py says more); without one these tests
are skipped.
"""

import hashlib
import os
import pathlib
import resource
import shutil
import stat
import sys

import support

sys.path.insert(0, str(support.REPO / "tests/archive"))
import corpus_test

SECONDS = 30
CORPUS = corpus_test.CORPUS


def disk_tree(directory):
    """What corpus_test.python_tree gives, of a directory."""
    tree = {}
    top = os.fsencode(directory)
    for parent, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(path)
                value = ("link", 0o777, len(target), target)
            elif stat.S_ISDIR(status.st_mode):
                value = ("directory", mode, 0, None)
            else:
                content = pathlib.Path(os.fsdecode(path)).read_bytes()
                value = ("file", mode, len(content), hashlib.sha256(content).hexdigest())
            tree[os.path.relpath(path, top)] = value
    return tree


def limit():
    corpus_test.limit_memory()
    resource.setrlimit(resource.RLIMIT_CPU, (corpus_test.SECONDS, corpus_test.SECONDS))


class TestZipCorpus(support.TestCase):
    seconds = 300

    def setUp(self):
        if not (CORPUS / "expected.json").exists():
            self.skipTest(f"no corpus at {CORPUS}; HAFT_ZIP_CORPUS names one")

    def limited(self, *arguments):
        """A haft command with two seconds of processor time and 256 MiB."""
        done = support.haft(*arguments, check=False, preexec_fn=limit)
        self.assertIn(done.returncode, (0, 1, 125), f"{arguments}: {done.stderr}")
        return done

    def test_verify_and_extract(self):
        directory = support.unique_dir()
        verdicts = {"OPEN": 0, "REJECT": 0}
        for name, expected, exception in corpus_test.cases():
            file = CORPUS / name
            with self.subTest(name):
                verified = self.limited("verify", file)
                extracted = self.limited("extract", file, directory / "out")
                self.assertEqual(
                    verified.returncode, extracted.returncode, verified.stderr + extracted.stderr
                )
                verdict = "OPEN" if verified.returncode == 0 else "REJECT"
                verdicts[verdict] += 1
                if not exception:
                    self.assertEqual(verdict, expected, verified.stderr)
                if verdict == "OPEN":
                    self.assertEqual(disk_tree(directory / "out"), corpus_test.python_tree(file))
                    shutil.rmtree(os.fsencode(directory / "out"))
                else:
                    self.assertEqual((verified.returncode, verified.stdout), (1, ""))
                    self.assertOneLine(extracted.stderr, os.path.basename(name))
                    for line in verified.stderr.splitlines():  # one for each damaged entry
                        self.assertOneLine(line + "\n", os.path.basename(name))
                self.assertEqual(os.listdir(directory), [])
        self.assertGreater(min(verdicts.values()), 50)

    def test_start(self):
        """Everything of haft run but the archive's own code: index, mount, what is in it."""
        statuses = {0: 0, 125: 0}
        for name, expected, exception in corpus_test.cases():
            file = CORPUS / name
            with self.subTest(name), self.clean():
                done = self.limited("exec", file, "--", "/bin/true")
                statuses[done.returncode] += 1
                if done.returncode:
                    self.assertEqual(done.stdout, "")
                    self.assertOneLine(done.stderr, os.path.basename(name))
                if not exception and expected == "OPEN":
                    self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(min(statuses.values()), 50)

    @support.long_test
    def test_build(self):
        """Converted, or refused in one line with nothing left."""
        directory = support.unique_dir()
        statuses = {0: 0, 1: 0}
        for name, expected, exception in corpus_test.cases():
            with self.subTest(name):
                done = self.limited(
                    "build",
                    "--from",
                    CORPUS / name,
                    "--no-compile",
                    "--no-profile",
                    "-o",
                    directory / "new",
                )
                statuses[done.returncode] += 1
                if not exception:
                    self.assertEqual(
                        "OPEN" if done.returncode == 0 else "REJECT", expected, done.stderr
                    )
                if done.returncode == 0:
                    support.haft("verify", directory / "new")
                    (directory / "new").unlink()
                else:
                    self.assertOneLine(done.stderr, os.path.basename(name))
                self.assertEqual(os.listdir(directory), [])
        self.assertGreater(min(statuses.values()), 50)
