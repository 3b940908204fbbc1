"""Every archive of a corpus of good and hostile zips through the real commands, against its oracle and Python's zipfile.

HAFT_ZIP_CORPUS names the corpus (tests/zip/corpus_test.py says more); without one these tests are skipped.
"""

import hashlib
import os
import pathlib
import resource
import shutil
import stat
import sys
import time

import support

sys.path.insert(0, str(support.REPO / "tests/zip"))
import corpus_test  # noqa: E402

SECONDS = 60
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


class TestZipCorpus(support.TestCase):
    seconds = 300

    def setUp(self):
        if not (CORPUS / "expected.json").exists():
            self.skipTest(f"no corpus at {CORPUS}; HAFT_ZIP_CORPUS names one")

    def limited(self, *arguments):
        """A haft command with two seconds and 256 MiB."""
        begin = time.monotonic()
        done = support.haft(*arguments, check=False, preexec_fn=corpus_test.limit_memory)
        self.assertLess(time.monotonic() - begin, 2 * corpus_test.SECONDS, arguments)  # other tests run meanwhile
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        return done, used

    def test_verify_and_extract(self):
        directory = support.unique_dir()
        verdicts = {"OPEN": 0, "REJECT": 0}
        for name, expected, exception in corpus_test.cases():
            file = CORPUS / name
            with self.subTest(name):
                verified, before = self.limited("verify", file)
                extracted, after = self.limited("extract", file, directory / "out")
                self.assertLess(after - before, corpus_test.SECONDS)
                self.assertEqual(verified.returncode, extracted.returncode, verified.stderr + extracted.stderr)
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
