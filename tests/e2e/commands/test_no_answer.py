"""No command waits for somebody who does not answer: a FIFO nobody writes to, a stopped server."""

import os
import pathlib
import signal
import unittest

import support

SECONDS = 20


class TestNoAnswer(support.TestCase):
    @support.parametrised(command=["ls", "cat", "info", "verify", "extract"])
    def test_fifo(self, command):
        fifo = support.unique_dir() / "fifo"
        os.mkfifo(fifo)
        more = {"cat": ["x"], "extract": [fifo.with_name("out")]}.get(command, [])
        done = support.run([support.HAFT, command, fifo, *more], timeout=5)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertOneLine(done.stderr, "not a regular file")

    @unittest.skipIf(os.geteuid(), "mounts on the host")
    @support.parametrised(option=["--lazy", ""])
    def test_umount_of_a_stopped_server(self, option):
        directory = support.unique_dir()
        support.run([support.HAFT, "mount", support.lab(), directory], check=True)
        stopped = [
            pid
            for pid in support.haft_processes()
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "haft-server\n"
        ]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            words = [option] if option else []
            done = support.run([support.HAFT, "umount", *words, directory], timeout=5)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        self.assertEqual(support.haft_mounts(), set())
