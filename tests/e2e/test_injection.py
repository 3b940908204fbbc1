"""System calls that fail, one after the other, in the start and the server: an error or the right output, never wrong output, a hang or
something left."""

import os
import shutil
import unittest

import support

SECONDS = 25
CODE = "import lab_lazy.m5, hashlib, lab\ndata = open(os.path.dirname(lab.__file__) + '/lab_data/big.bin', 'rb').read()\nprint(lab_lazy.m5.VALUE, len(data))"
FAULTS = ["mount:error=EPERM", "openat:error=EMFILE", "openat:error=ENOMEM", "pread64:error=EIO", "pread64:error=EINTR", "unshare:error=ENOSPC",
          "setns:error=EPERM", "clone,clone3:error=EAGAIN", "pivot_root:error=EINVAL", "mkdirat,mkdir:error=ENOSPC", "socketpair:error=EMFILE",
          "mmap:error=ENOMEM"]


@unittest.skipIf(os.geteuid(), "needs root")
@unittest.skipUnless(shutil.which("strace"), "needs strace")
class TestInjection(support.TestCase):
    seconds = 240

    @support.parametrised(fault=FAULTS)
    def test_nth_call_fails(self, fault):
        numbers = range(1, 61) if support.LONG else (1, 2, 4)
        for number in numbers:
            command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={fault.partition(':')[0]}",
                       "-e", f"inject={fault}:when={number}", support.lab(), CODE]
            with self.subTest(fault=fault, number=number):
                with self.clean(timeout=5.0, quiet_host=False):  # a later rung may mount on the host
                    done = support.run(command, timeout=20)
                if done.returncode == 0:
                    self.assertEqual(done.stdout, "5 1048576\n", done.stderr)
                else:
                    self.assertEqual(done.stdout, "")
                    self.assertTrue(done.stderr or done.returncode < 0, done.returncode)
