#!/usr/bin/python3
"""Runs one file of end-to-end tests and prints TAP; meson runs each file so.

    tests/e2e/worker.py lifecycle/test_exit [-k PATTERN]...

As root the file gets a pid and a mount namespace of its own, whose mounts are shared among
namespaces as on a systemd host. So a test sees only its own processes, a leaked mount shows, and
nothing survives the worker. Without root there is no isolation, and one file runs at a time.
"""

import argparse
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 900  # for a file, from when its turn has come; single tests have time-outs of their own
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True


class TapResult(unittest.TestResult):
    """Writes TAP. A test that a failure of its class or module kept from running has failed."""

    def __init__(self, tap, tests):
        super().__init__()
        self._tap = tap
        self._numbers = {test.id(): number for number, test in enumerate(tests, 1)}
        self._open = dict(self._numbers)  # those without a result
        self._all_passed = True
        self._outside = ""  # failures of setUpClass, setUpModule
        self._began = 0.0
        self._outcome: tuple | None = None
        self._say(f"TAP version 13\n1..{len(tests)}")

    def _say(self, text):
        self._tap.write(text + "\n")
        self._tap.flush()

    def _result(self, name, passed, detail="", directive=""):
        self._open.pop(name, None)
        self._all_passed = self._all_passed and passed
        word = "ok" if passed else "not ok"
        self._say(f"{word} {self._numbers[name]} - {name} {directive}")
        for line in detail.rstrip().splitlines():
            self._say(f"#   {line}")

    def startTest(self, test):
        super().startTest(test)
        self._say(f"# running {test.id()}")
        self._began = time.monotonic()
        self._outcome = ("passed", "")

    def stopTest(self, test):
        super().stopTest(test)
        outcome, detail = self._outcome or ("failed", "")
        self._outcome = None
        if outcome == "skipped":
            self._result(test.id(), True, directive=f"# SKIP {' '.join(detail.split())}")
        else:
            took = f"# time={time.monotonic() - self._began:.2f}s"
            self._result(test.id(), outcome == "passed", detail, took)

    def _failed(self, test, failure, label=""):
        detail = label + self._exc_info_to_string(failure, test)  # type: ignore[attr-defined]
        if self._outcome is None:
            self._outside += f"{test.id()}:\n{detail}"
        else:
            before = self._outcome[1] if self._outcome[0] == "failed" else ""
            self._outcome = ("failed", before + detail)

    def addError(self, test, err):
        self._failed(test, err)

    def addFailure(self, test, err):
        self._failed(test, err)

    def addSubTest(self, _test, subtest, err):
        if err is not None:
            self._failed(subtest.test_case, err, f"in {subtest._subDescription()}:\n")

    def addSkip(self, test, reason):
        if self._outcome is None:
            self._outside += f"{test.id()}: skipped: {reason}\n"
        elif self._outcome[0] != "failed":  # of a part of it, or while it was cleaned up
            self._outcome = ("skipped", reason)

    def addExpectedFailure(self, test, err):
        pass

    def addUnexpectedSuccess(self, _test):
        self._outcome = ("failed", "unexpected success")

    def finish(self):
        """Reports the tests that did not run; true if all have passed."""
        for name in list(self._open):
            self._result(name, False, f"not run\n{self._outside}")
        return self._all_passed


def isolate():
    """In a fresh pid and mount namespace: a shared mount table, a /dev/fuse for everybody, an
    account for an ordinary user, an init.
    And nothing of FUSE that others have mounted on this machine: a test could take it for its own.
    """
    from support.clean import haft_mounts
    from support.people import make_account
    from support.running import open_fuse_node

    os.environ["E2E_ISOLATED"] = "1"
    for _, point in haft_mounts():
        subprocess.run(["umount", "-l", point], check=True)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    subprocess.run(["mount", "--bind", open_fuse_node(), "/dev/fuse"], check=True)
    make_account()
    child = os.fork()
    if child == 0:
        return
    while True:  # init of this namespace: orphans end up here
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def limit_time(tap):
    """Ends the worker after SECONDS from now. Without root a file may have waited for all others
    before, so neither meson nor run.py can tell from outside how long it took."""

    def expire():
        tap.write(f"Bail out! no end within {seconds} s\n")
        tap.flush()
        os._exit(1)

    seconds = SECONDS * (4 if os.environ.get("E2E_LONG") else 1)
    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()


def obstacle():
    """None, or why nothing can be tested."""
    from support import paths

    if not os.access(paths.HAFT, os.X_OK):
        return f"no haft at {paths.HAFT}; build it or set HAFT"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return (
            f"/dev/fuse: {error.strerror}; these tests need FUSE "
            "(modprobe fuse; docker run --device /dev/fuse --cap-add SYS_ADMIN)"
        )
    return None


def restore_signals():
    """Undoes what nohup or a shell's & ignored: the tests are about what programs inherit."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", help="FOLDER/test_WORD")
    parser.add_argument("-k", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--haft", help="the haft to test, unless the variable HAFT names one")
    parser.add_argument("--no-isolation", action="store_true", help="no namespaces (debugging)")
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = arguments()
    if options.haft:
        os.environ.setdefault("HAFT", options.haft)
    restore_signals()
    from support import paths, suite

    reason = obstacle()
    if reason:
        print(f"TAP version 13\nBail out! {reason}")
        return 1
    paths.share_scratch()
    if os.geteuid() == 0 and not options.no_isolation and not options.isolated:
        namespaces = ["unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child"]
        os.execvp(namespaces[0], [*namespaces, paths.PYTHON, *sys.argv, "--isolated"])
    # What a test prints goes to standard error; only TAP to standard output.
    tap = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if options.isolated:
        isolate()
    else:
        alone = open(paths.scratch() / ".alone", "w")  # noqa: SIM115  # held to the end
        fcntl.flock(alone, fcntl.LOCK_EX)
    limit_time(tap)
    tests = suite.tests(options.file, options.k)
    result = TapResult(tap, tests)
    unittest.TestSuite(tests).run(result)
    status = 0 if result.finish() else 1
    sys.stdout.flush()
    tap.flush()
    os._exit(status)  # whatever threads tests have left


if __name__ == "__main__":
    sys.exit(main())
