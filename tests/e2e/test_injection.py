"""System calls that fail, one after the other, in the start and the server: an error or the right output, never wrong output, a hang or
something left."""

import os
import shutil
import unittest

import support

SECONDS = 25
CODE = "import lab_lazy.m5, hashlib, lab\ndata = open(os.path.dirname(lab.__file__) + '/lab_data/big.bin', 'rb').read()\nprint(lab_lazy.m5.VALUE, len(data))"
FAULTS = ["mount:error=EPERM", "openat:error=EMFILE", "openat:error=ENOMEM", "pread64:error=EIO", "pread64:error=EINTR", "unshare:error=ENOSPC",
          "setns:error=EPERM", "clone,clone3:error=EAGAIN", "chroot:error=EPERM", "mkdirat,mkdir:error=ENOSPC", "socketpair:error=EMFILE",
          "mmap:error=ENOMEM", "writev:error=ENOMEM", "writev:error=EINVAL"]
# From the nth call on, in every server that follows: only a short error, nothing, or only the first answers.
FROM_THERE_ON = ["writev:error=ENOMEM", "writev:error=ENODEV", "write,writev:error=ENOMEM"]


@unittest.skipIf(os.geteuid(), "needs root")
@unittest.skipUnless(shutil.which("strace"), "needs strace")
class TestInjection(support.TestCase):
    seconds = 240

    def check(self, fault, when):
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={fault.partition(':')[0]}",
                   "-e", f"inject={fault}:when={when}", support.lab(), CODE]
        with self.subTest(fault=fault, when=when):
            with self.clean(timeout=5.0, quiet_host=False):  # a later rung may mount on the host
                done = support.run(command, timeout=20)
            if done.returncode == 0:
                self.assertEqual(done.stdout, "5 1048576\n", done.stderr)
            else:
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr or done.returncode < 0, done.returncode)
            return done

    @support.parametrised(fault=FAULTS)
    def test_nth_call_fails(self, fault):
        for number in range(1, 61) if support.LONG else (1, 2, 4):
            self.check(fault, number)

    @support.parametrised(fault=FROM_THERE_ON)
    def test_all_calls_fail_from_the_nth_on(self, fault):
        for number in (1, 2, 5, 20, 60) if support.LONG else (2, 20):
            self.check(fault, f"{number}+")

    def test_reply_that_finds_no_memory_is_written_again(self):
        """libfuse forgets a request before its reply is written: the program used to wait for ever."""
        for number in (2, 9, 20):
            done = self.check("writev:error=ENOMEM", number)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
