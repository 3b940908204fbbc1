"""Limits of the process that starts a bundle: met without a signal, and named in one line."""

import os
import pathlib
import unittest

import support
from support import archives

SECONDS = 8

CODE = "import lab_lazy.m7, resource; print(lab_lazy.m7.VALUE, resource.getrlimit(1))"


def may_raise_limits():
    status = pathlib.Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 24 & 1)


@unittest.skipIf(os.geteuid(), "needs root")
class TestLimits(support.TestCase):
    def archive(self):
        """An archive whose index is larger than the limit."""
        directory = support.unique_dir()
        files = {f"m{i}.py": f"VALUE = {i}\n" for i in range(300)}
        files["__main__.py"] = "import m7, resource; print(m7.VALUE, resource.getrlimit(1))\n"
        return archives.zipapp(directory / "a.pyz", files)

    @unittest.skipUnless(may_raise_limits(), "needs CAP_SYS_RESOURCE")
    def test_file_size_does_not_count_for_what_is_in_memory(self):
        """The program has the limit as it was."""
        command = ["prlimit", "--fsize=1024", support.HAFT, "run", self.archive()]
        with self.clean():
            done = support.run(command)
        self.assertEqual((done.stdout, done.stderr), ("7 (1024, 1024)\n", ""))

    def test_soft_limit_of_a_user_is_lifted(self):
        command = ["prlimit", "--fsize=1024:unlimited", support.HAFT, "run", self.archive()]
        with self.clean(timeout=4.0, quiet_host=False):
            done = support.run(support.as_user(command))
        self.assertEqual((done.stdout, done.stderr), ("7 (1024, -1)\n", ""))

    def test_hard_limit_of_a_user_is_named(self):
        command = ["prlimit", "--fsize=1024:1024", support.HAFT, "run", self.archive()]
        with self.clean():
            done = support.run(support.as_user(command))
        self.assertEqual((done.stdout, done.returncode), ("", 125))
        self.assertOneLine(done.stderr, "File too large", "raise the limit", "ulimit -f")

    def test_limit_of_processes_is_named(self):
        with self.clean():
            done = support.run(
                support.as_user(["prlimit", "--nproc=1:1", support.lab(), CODE], support.NUMBER)
            )
        self.assertEqual((done.stdout, done.returncode), ("", 125))
        self.assertOneLine(done.stderr, "fork", "ulimit -u")
