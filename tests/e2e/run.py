#!/usr/bin/python3
"""Runs the end-to-end tests.

    tests/e2e/run.py                        all of them, with the haft of build/haft
    HAFT=/usr/bin/haft tests/e2e/run.py -k lifecycle.test_signals
    tests/e2e/run.py --list

Each file runs in a worker with a pid and a mount namespace of its own (as root), whose mounts are
shared among namespaces as on a systemd host. So a test sees only its own processes, a leaked mount
shows, and nothing survives the worker. Without root there is no isolation, and one file at a time.
The last line of the output is "N passed, N failed" or "N passed, N failed, N skipped".
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import traceback
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
FILE_SECONDS = 900  # for one file; single tests have time-outs of their own
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from support import suite  # noqa: E402


def load(patterns, files):
    """{file: [tests]} of what matches any of the patterns (all without patterns), slowest first."""
    found = {name: suite.tests(name, patterns) for name in files}
    return {name: tests for name, tests in found.items() if tests}


# --- worker: one file -----------------------------------------------------------------------------


class Reporter(unittest.TestResult):
    """Writes one JSON line per event to a pipe."""

    def __init__(self, pipe):
        super().__init__()
        self._pipe = pipe
        self._began = 0
        self._outcome = None

    def _send(self, event, test, detail=""):
        line = {
            "event": event,
            "test": test.id(),
            "seconds": time.monotonic() - self._began,
            "detail": detail,
        }
        self._pipe.write(json.dumps(line) + "\n")
        self._pipe.flush()

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()
        self._outcome = ("passed", "")
        self._send("started", test)

    def stopTest(self, test):
        super().stopTest(test)
        self._send(self._outcome[0], test, self._outcome[1])
        self._outcome = None

    def _failed(self, test, failure, label=""):
        detail = label + self._exc_info_to_string(failure, test)
        if self._outcome is None:  # setUpModule, setUpClass
            self._send("failed", test, detail)
        else:
            before = self._outcome[1] if self._outcome[0] == "failed" else ""
            self._outcome = ("failed", before + detail)

    def addError(self, test, err):
        self._failed(test, err)

    def addFailure(self, test, err):
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._failed(test, err, f"in {subtest._subDescription()}:\n")

    def addSkip(self, test, reason):
        if self._outcome is None:
            self._send("skipped", test, reason)
        else:
            self._outcome = ("skipped", reason)

    def addExpectedFailure(self, test, err):
        pass

    def addUnexpectedSuccess(self, test):
        self._outcome = ("failed", "unexpected success")


def isolate():
    """In a fresh pid and mount namespace: a shared mount table, a /dev/fuse for everybody, a
    reaper. And nothing of FUSE that others have mounted on this machine: a test could take it for
    its own."""
    from support.clean import haft_mounts
    from support.running import open_fuse_node

    os.environ["E2E_ISOLATED"] = "1"
    for _, point in haft_mounts():
        subprocess.run(["umount", "-l", point], check=True)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    subprocess.run(["mount", "--bind", open_fuse_node(), "/dev/fuse"], check=True)
    child = os.fork()
    if child == 0:
        return
    while True:  # init of this namespace: orphans end up here
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def work(stem, pipe_fd, patterns, isolated):
    os.set_inheritable(pipe_fd, False)
    if isolated:
        isolate()
    with os.fdopen(pipe_fd, "w") as pipe:
        suite = unittest.TestSuite(load(patterns, [stem])[stem])
        suite.run(Reporter(pipe))
    sys.stdout.flush()
    os._exit(0)


# --- parent ---------------------------------------------------------------------------------------


class Run:
    def __init__(self, options):
        self.options = options
        self.passed, self.failed, self.skipped = [], [], []
        self._lock = threading.Lock()
        self.isolated = os.geteuid() == 0 and not options.no_isolation

    def again(self, suites):
        """Those that failed, one by one on a machine that does nothing else: tells a fault from a
        time-out under load."""
        first, self.failed = self.failed, []
        for name in first:
            stem = "/".join(name.split(".")[:2])
            if stem not in suites:
                self.failed.append(name)
                continue
            print(f"once more, alone: {name}")
            self.options.k = [name]
            self.file(stem, load([name], [stem])[stem])
        self.passed = list(dict.fromkeys(self.passed))
        for name in set(first) - set(self.failed):
            print(f"passed at the second run only: {name}")

    def file(self, stem, tests):
        command = [PYTHON, __file__, "--worker", stem]
        for pattern in self.options.k:
            command += ["-k", pattern]
        if self.isolated:
            command = [
                "unshare",
                "-m",
                "-p",
                "-f",
                "--mount-proc",
                "--kill-child",
                *command,
                "--isolated",
            ]
        reader, writer = os.pipe()
        log = open(os.path.join(os.environ["E2E_SCRATCH"], f"{stem.replace('/', '.')}.log"), "w+")  # noqa: SIM115  # closed after the worker
        worker = subprocess.Popen(
            [*command, "--pipe", str(writer)],
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        os.close(writer)
        timer = threading.Timer(FILE_SECONDS, worker.kill)
        timer.start()
        missing = {test.id() for test in tests}
        started = None
        with os.fdopen(reader) as events:
            for line in events:
                event = json.loads(line)
                if event["event"] == "started":
                    started = event["test"]
                    continue
                missing.discard(event["test"])
                self._note(event["event"], event["test"], event["seconds"], event["detail"])
        worker.wait()
        timer.cancel()
        log.seek(0)
        output = log.read()[-6000:]
        log.close()
        if missing:
            culprit = f"its worker ended with status {worker.returncode} in {started}\n{output}"
            for test in sorted(missing):
                self._note(
                    "failed", test, 0, culprit if test == started else f"not run: {culprit[:200]}"
                )

    def _note(self, outcome, test, seconds, detail=""):
        with self._lock:
            getattr(self, outcome).append(test)
            word = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[outcome]
            if outcome == "failed" or not self.options.quiet:
                print(f"{word:8}{seconds:7.2f} s  {test}", flush=True)
            if outcome == "failed":
                print("    " + detail.rstrip().replace("\n", "\n    "), flush=True)


def check_fuse():
    """None, or why nothing can be tested."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return (
            f"/dev/fuse: {error.strerror}; these tests need FUSE (modprobe fuse; docker run "
            f"--device /dev/fuse "
            "--cap-add SYS_ADMIN)"
        )
    return None


def restore_signals():
    """Undoes what nohup or a shell's & ignored: the tests are about what programs inherit."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(
                number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "-k",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only tests whose name contains or matches it; repeatable",
    )
    parser.add_argument("-j", type=int, default=os.cpu_count(), metavar="N", help="files at a time")
    parser.add_argument("--long", action="store_true", help="the slow ones too")
    parser.add_argument(
        "--retry",
        type=int,
        default=0,
        metavar="N",
        help="up to N failed tests are run once more, alone, and what happened is told",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print failures only")
    parser.add_argument("--list", action="store_true", help="only list the tests")
    parser.add_argument("--keep", action="store_true", help="keep the scratch directory")
    parser.add_argument(
        "--no-isolation", action="store_true", help="no namespaces for the workers (debugging)"
    )
    for hidden in ("--worker", "--pipe"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    restore_signals()
    if options.worker:
        work(options.worker, int(options.pipe), options.k, options.isolated)
    if options.long:
        os.environ["E2E_LONG"] = "1"

    from support import paths

    suites = load(options.k, suite.files())
    if options.list:
        for tests in suites.values():
            print("\n".join(test.id() for test in tests))
        return 0
    began = time.monotonic()
    scratch = os.environ["E2E_SCRATCH"] = paths.make_scratch()
    run = Run(options)
    reason = check_fuse()
    if not os.access(paths.HAFT, os.X_OK):
        reason = f"no haft at {paths.HAFT}; build it or set HAFT"
    if reason:
        print(reason)
        run.failed = [test.id() for tests in suites.values() for test in tests]
    else:
        with concurrent.futures.ThreadPoolExecutor(
            max(1, options.j) if run.isolated else 1
        ) as pool:
            for done in [pool.submit(run.file, stem, tests) for stem, tests in suites.items()]:
                try:
                    done.result()
                except Exception:  # a bug of this script must not look like success
                    traceback.print_exc()
                    run.failed.append("run.py")
    if not reason and 0 < len(run.failed) <= options.retry:
        run.again(suites)
    if run.failed and not reason:
        print("\nfailed:\n  " + "\n  ".join(run.failed))
    if (run.failed and not reason) or options.keep:
        print(f"scratch kept: {scratch}")
    else:
        paths.remove_scratch(scratch)
    print(f"haft: {paths.HAFT}, {time.monotonic() - began:.0f} s")
    print(
        f"{len(run.passed)} passed, {len(run.failed)} failed"
        + (f", {len(run.skipped)} skipped" if run.skipped else ""),
        flush=True,
    )
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
