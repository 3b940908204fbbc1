#!/usr/bin/python3
"""Runs end-to-end tests, several files at a time, each in a worker of its own (worker.py).

    tests/e2e/run.py                        all of them, with the haft of build/haft
    HAFT=/usr/bin/haft tests/e2e/run.py -k lifecycle.test_signals
    tests/e2e/run.py --list

With --retry, a test that passes only the second time is flaky: it is named before the last line
and written to the file of --record. It has failed unless flaky.json gives a reason for it.
Before the last line each reason for which tests were skipped stands with their number. The last
line of the output is "N passed, N failed" or "N passed, N failed, N skipped". Patterns of which one
matches nothing are status 2.
"""

import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
KNOWN = HERE / "flaky.json"  # {test: reason}
FILE_SECONDS = 900  # for one file; single tests have time-outs of their own
RESULT = re.compile(r"(not )?ok \d+ - (\S+) (?:# SKIP (.*)|# time=([\d.]+)s)?")
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import worker  # noqa: E402
from support import paths, suite  # noqa: E402


class Run:
    """Results of all files: {name of a test: what it said}."""

    def __init__(self, quiet):
        self.quiet = quiet
        self.passed, self.failed, self.skipped = {}, {}, {}
        self._lock = threading.Lock()

    def file(self, name, patterns, options):
        """Runs one file and reads its TAP."""
        command = [paths.PYTHON, HERE / "worker.py", name]
        command += [word for pattern in patterns for word in ("-k", pattern)] + options
        missing = {test.id() for test in suite.tests(name, patterns)}
        log_path = paths.scratch() / f"{name.replace('/', '.')}.log"
        with open(log_path, "w+", errors="replace") as log, subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
            errors="replace",
        ) as process:
            timer = threading.Timer(FILE_SECONDS, process.kill)
            timer.start()
            running, result = None, None
            detail: list[str] = []
            for line in itertools.chain(process.stdout or (), ["end"]):
                if line.startswith("#   "):
                    detail.append(line[4:].rstrip())
                    continue
                if result:
                    self._note(*result, "\n".join(detail))
                    result, detail = None, []
                if line.startswith("# running "):
                    running = line.split()[2]
                elif match := RESULT.match(line):
                    failed, test, skipped, seconds = match.groups()
                    missing.discard(test)
                    kind = "failed" if failed else "passed" if skipped is None else "skipped"
                    result = kind, test, float(seconds or 0)
                    detail = [skipped] if skipped else []
            status = process.wait()
            timer.cancel()
            log.seek(0)
            output = log.read()[-6000:]
        for test in sorted(missing):
            why = f"its worker ended with status {status} in {running}\n{output}"
            self._note("failed", test, 0, why if test == running else f"not run: {why[:200]}")

    def _note(self, outcome, test, seconds, detail):
        with self._lock:
            getattr(self, outcome)[test] = detail
            word = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[outcome]
            if outcome == "failed" or not self.quiet:
                print(f"{word:8}{seconds:7.2f} s  {test}", flush=True)
            if outcome == "failed":
                print("    " + detail.replace("\n", "\n    "), flush=True)


def run_again(run, options):
    """Runs what has failed once more, one by one on a machine that does nothing else. Returns
    {name of a flaky test: how it failed the first time}."""
    second = Run(quiet=False)
    for test in list(run.failed):
        print(f"once more, alone: {test}")
        second.file("/".join(test.split(".")[:2]), [f"{test}$"], options)
    return {test: run.failed[test] for test in second.passed}


def judge(run, flaky, record, known=KNOWN):
    """Counts flaky tests on the list as passed, and says which there are."""
    known = json.loads(known.read_text())
    for test in sorted(flaky):
        if test in known:
            run.passed[test] = run.failed.pop(test)
        verdict = f"known: {known[test]}" if test in known else "NOT in tests/e2e/flaky.json"
        print(f"flaky, passed the second time only: {test} ({verdict})")
    if record:
        rows = {test: {"known": known.get(test), "first": flaky[test]} for test in sorted(flaky)}
        pathlib.Path(record).write_text(json.dumps(rows, indent=2) + "\n")


def print_skipped(skipped):
    """Why tests were skipped, the most frequent reason first, with one of the tests."""
    for reason, number in collections.Counter(skipped.values()).most_common():
        test = next(name for name, why in skipped.items() if why == reason)
        more = f" and {number - 1} more" if number > 1 else ""
        print(f"skipped, {reason.strip()}: {test}{more}")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add(
        "-k",
        action="append",
        default=[],
        metavar="PATTERN",
        help="only tests whose name contains or matches it; with $ ends in it; repeatable",
    )
    add("-j", type=int, default=os.cpu_count(), metavar="N", help="files at a time")
    add("--long", action="store_true", help="the slow ones too")
    add("--retry", type=int, default=0, metavar="N", help="run up to N failed tests again, alone")
    add("--record", metavar="FILE", help="write the flaky tests to FILE, as JSON")
    add("-q", "--quiet", action="store_true", help="print failures only")
    add("--list", action="store_true", help="only list the tests")
    add("--files", action="store_true", help="only list the files, with their seconds")
    add("--keep", action="store_true", help="keep the scratch directory")
    add("--no-isolation", action="store_true", help="no namespaces for the workers (debugging)")
    return parser.parse_args()


def run_all(options, names):
    """Runs the files; returns the Run and the flaky tests."""
    run = Run(options.quiet)
    flags = ["--no-isolation"] if options.no_isolation else []
    jobs = max(1, options.j) if os.geteuid() == 0 and not options.no_isolation else 1
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(run.file, name, options.k, flags) for name in names]:
            done.result()  # a bug of this script must not look like success
    flaky = run_again(run, flags) if 0 < len(run.failed) <= options.retry else {}
    return run, flaky


def main():
    options = arguments()
    if options.files:
        print("\n".join(f"{name} {seconds}" for name, seconds in suite.files().items()))
        return 0
    if options.long:
        os.environ["E2E_LONG"] = "1"
    tests = {name: suite.tests(name, options.k) for name in suite.files()}
    names = [name for name, found in tests.items() if found]
    for pattern in options.k:
        if not any(suite.matches(t.id(), pattern) for found in tests.values() for t in found):
            print(f"run.py: -k {pattern}: matches no test; --list names all", file=sys.stderr)
            return 2
    if options.list:
        print("\n".join(test.id() for found in tests.values() for test in found))
        return 0
    if reason := worker.obstacle():
        print(f"{reason}\n0 passed, {sum(map(len, tests.values()))} failed")
        return 1
    began = time.monotonic()
    scratch = os.environ[paths.SHARED] = paths.make_scratch()
    run, flaky = run_all(options, names)
    if run.failed or options.keep:
        print(f"scratch kept: {scratch}")
    else:
        paths.remove_scratch(scratch)
    judge(run, flaky, options.record)
    if run.failed:
        print("\nfailed:\n  " + "\n  ".join(run.failed))
    print_skipped(run.skipped)
    print(f"haft: {paths.HAFT}, {time.monotonic() - began:.0f} s")
    skipped = f", {len(run.skipped)} skipped" if run.skipped else ""
    print(f"{len(run.passed)} passed, {len(run.failed)} failed{skipped}", flush=True)
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
