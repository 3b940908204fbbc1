"""System calls that fail, one after the other, in the start and the server: an error or the right
output, never wrong output, a hang or something left."""

import os
import unittest

import support
from support.tools import needs

SECONDS = 45
CODE = (
    "import lab_lazy.m5, hashlib, lab\n"
    "data = open(os.path.dirname(lab.__file__) + '/lab_data/big.bin', 'rb').read()\n"
    "print(lab_lazy.m5.VALUE, len(data))"
)
FAULTS = [
    "mount:error=EPERM",
    "openat:error=EMFILE",
    "openat:error=ENOMEM",
    "pread64:error=EIO",
    "pread64:error=EINTR",
    "unshare:error=ENOSPC",
    "setns:error=EPERM",
    "clone,clone3:error=EAGAIN",
    "chroot:error=EPERM",
    "mkdirat,mkdir:error=ENOSPC",
    "socketpair:error=EMFILE",
    "mmap:error=ENOMEM",
    "brk:error=ENOMEM",
    "pread64:retval=0",
    "read:error=EINTR",
    "writev:error=ENOMEM",
    "writev:error=EINVAL",
    "writev:error=ENODEV",
]
# From the nth call on, in every server that follows: only a short error, nothing, or only the first
# answers.
FROM_THERE_ON = ["writev:error=ENOMEM", "writev:error=ENODEV", "write,writev:error=ENOMEM"]


@unittest.skipIf(os.geteuid(), "needs root")
@needs("strace")
class TestInjection(support.TestCase):
    seconds = 240

    def check(self, fault, when, mode="namespace"):
        """The outcome, and whether there was such a call at all."""
        user = ["-u", support.PERSON.name] if mode == "userns" else []
        allowed = {"HAFT_MODE": "userns,extract"} if mode == "userns" else {}
        log = support.scratch() / "injected"
        command = [
            "strace",
            *user,
            "-f",
            "-qq",
            "-o",
            log,
            "-e",
            f"trace={fault.partition(':')[0]}",
            "-e",
            f"inject={fault}:when={when}",
            support.lab(),
            CODE,
        ]
        with self.subTest(fault=fault, when=when, mode=mode):
            with self.clean(quiet_host=False):  # a later mode may mount on the host
                done = support.run(command, timeout=10, env=support.clean_env(**allowed))
            if done.returncode == 0:
                self.assertEqual(done.stdout, "5 1048576\n", done.stderr)
            else:
                self.assertEqual(done.stdout, "")
                # Where no write succeeds, neither does that of a message.
                self.assertTrue(
                    done.stderr or done.returncode < 0 or fault.startswith("write,"),
                    done.returncode,
                )
            return done, b"(INJECTED" in log.read_bytes()

    @support.parametrised(fault=FAULTS)
    def test_nth_call_fails(self, fault, mode):
        """Until there are no more such calls. What userns does differently comes early."""
        most = {"namespace": 60, "userns": 20} if support.LONG else {"namespace": 10, "userns": 4}
        for number in range(1, most[mode] + 1):
            _, injected = self.check(fault, number, mode) or (None, True)
            if not injected:
                break
        never = fault.startswith("chroot:") and mode == "userns"  # it keeps the root
        self.assertEqual(number > 1, not never, "no such call")

    @support.parametrised(fault=FROM_THERE_ON)
    def test_all_calls_fail_from_the_nth_on(self, fault):
        for number in (1, 2, 5, 20, 60) if support.LONG else (2, 20):
            self.check(fault, f"{number}+")

    def test_reply_that_finds_no_memory_is_written_again(self):
        """libfuse forgets a request before its reply is written: the program used to wait for
        ever."""
        for number in (2, 9, 20):
            done, _ = self.check("writev:error=ENOMEM", number)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
