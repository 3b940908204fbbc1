"""What all subjects of tools/bench share: inputs, rounds, tables, verdicts."""

import ctypes
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

import debian_tree

TOOLS = pathlib.Path(__file__).resolve().parents[1]
PYTHON = "/usr/bin/python3"

# First statement of a program: when, and then nothing.
ENTRY = "import time\nprint(time.clock_gettime_ns(time.CLOCK_MONOTONIC), flush=True)\n"

ATTEMPTS = 3
CLONE_NEWNS = 0x00020000


class BenchError(Exception):
    """One line for the user."""


class Progress:
    """A line on a terminal that says what is being done; nothing elsewhere."""

    def __init__(self):
        self._terminal = sys.stderr.isatty()

    def show(self, text):
        if self._terminal:
            sys.stderr.write("\r\x1b[K" + text)
            sys.stderr.flush()

    def clear(self):
        self.show("")


class Bench:
    """What the measurements share: work directory, haft, environment, results, verdicts."""

    def __init__(self, options, work):
        self.options = options
        self.work = pathlib.Path(work)
        self.haft = os.path.abspath(options.haft)
        self.progress = Progress()
        self.results = {
            "haft": self.haft,
            "kernel": os.uname().release,
            "cpus": os.cpu_count(),
            "load_before": os.getloadavg(),
        }
        self.verdicts = []
        self.env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "HOME": "/root",
        }
        self.shuffle = random.Random(1)
        # What is mounted from here on, nobody else sees: tests on the same host watch its mount
        # table.
        if ctypes.CDLL(None).unshare(CLONE_NEWNS):
            raise BenchError("no mount namespace of its own")
        self.call("mount", "--make-rprivate", "/")
        self.probe = self.work / "probe"
        self.call("cc", "-O2", "-o", self.probe, TOOLS / "benchmarks" / "probe.c")

    def runs(self, default):
        """How many rounds; --quick makes it two, --runs what it says."""
        return self.options.runs or (2 if self.options.quick else default)

    def call(self, *command, **options):
        """Runs a command that must succeed; returns its output."""
        done = subprocess.run(
            [os.fspath(part) for part in command],
            check=False,
            env=self.env,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            **options,
        )
        if done.returncode:
            raise BenchError(
                f"{os.path.basename(command[0])}: {(done.stderr or done.stdout).strip()[-500:]}"
            )
        return done.stdout

    def build(self, name, tree, *arguments):
        out = self.work / name
        self.progress.show(f"building {name} …")
        self.call(self.haft, "build", "--site-packages", tree, *arguments, "-o", out)
        warm(out)
        return out

    def has(self, tool, package, otherwise):
        """Whether a tool is there; if not, says what that means."""
        if shutil.which(tool, path=self.env["PATH"]):
            return True
        self.left_out(f"{otherwise}: {tool} not found; apt-get install {package}")
        return False

    def left_out(self, what):
        """Something that cannot be measured here is named; under --check that is a failure."""
        if self.options.check:
            raise BenchError(what)
        print(f"left out: {what}")

    def rounds(self, title, variants, runs, warm_up=2):
        """{name: [values]} of `runs` rounds after `warm_up` that do not count; each runs every
        variant (name: callable) once, in a new order."""
        samples: dict[str, list] = {name: [] for name in variants}
        for number in range(-warm_up, runs):
            order = list(variants)
            self.shuffle.shuffle(order)
            self.progress.show(f"{title}: round {max(0, number + 1)} of {runs}")
            for name in order:
                value = variants[name]()
                if number >= 0:
                    samples[name].append(value)
                time.sleep(0.005)  # the end of one mount must not slow down the next start
        self.progress.clear()
        return samples

    def verdict(self, what, value, limit, unit, goal=None, least=False):
        """What was measured beside what is to be kept: a limit that fails --check, and the goal if
        that is not reached yet. `least`: value has to be at least as large."""

        def kept(bound):
            return value >= bound if least else value <= bound

        self.verdicts.append(
            {
                "what": what,
                "value": value,
                "limit": limit,
                "goal": limit if goal is None else goal,
                "least": least,
                "unit": unit,
                "good": kept(limit),
                "reached": kept(limit if goal is None else goal),
            }
        )

    def judged(self, key, measure):
        """Calls measure(title suffix, key), which returns arguments of `verdict`, and keeps them.
        Another program's burst of work moves a median: under --check a miss counts only if there
        are three in a row."""
        for attempt in range(1, ATTEMPTS + 1):
            begun = len(self.verdicts)
            again = attempt > 1
            for arguments in measure(
                f", attempt {attempt}" if again else "", f"{key}_{attempt}" if again else key
            ):
                self.verdict(*arguments)
            if (
                attempt == ATTEMPTS
                or not self.options.check
                or all(verdict["good"] for verdict in self.verdicts[begun:])
            ):
                return
            del self.verdicts[begun:]

    def report(self):
        """Prints the verdicts; True if no limit is missed."""
        rows = []
        for v in self.verdicts:
            word = "MISSED" if not v["good"] else "kept" if v["reached"] else "goal MISSED"
            sign = "≥" if v["least"] else "≤"
            rows.append(
                [
                    v["what"],
                    v["value"],
                    f"{sign} {v['limit']:g}",
                    f"{sign} {v['goal']:g}",
                    v["unit"],
                    word,
                ]
            )
        if rows:
            table("Limits", ["", "value", "limit", "goal", "unit", ""], rows)
        self.results["limits"] = self.verdicts
        return all(v["good"] for v in self.verdicts)

    def django_tree(self):
        tree = self.work / "django-tree"
        if not tree.exists():
            self.progress.show("copying the Django packages …")
            try:
                debian_tree.make_tree(["python3-django"], tree)
            except debian_tree.TreeError as error:
                raise BenchError(str(error)) from None
        return tree

    def extracted(self, bundle):
        """The files of a bundle, compiled ones as well, in a plain directory."""
        out = bundle.with_suffix(".extracted")
        shutil.rmtree(out, ignore_errors=True)
        self.call(self.haft, "extract", bundle, out)
        return out / "site-packages"


def warm(path):
    """Reads a file, so that it is in the page cache."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def table(title, header, rows):
    """Prints aligned columns; the first is text, the others numbers or text."""
    print(f"\n{title}")
    texts = [header] + [
        [cell if isinstance(cell, str) else f"{cell:.2f}" for cell in row] for row in rows
    ]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    for row in texts:
        print(
            "  "
            + "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    sys.stdout.flush()


def spread(values):
    """(median, 10th percentile, 90th percentile)"""
    tenths = statistics.quantiles(values, n=10, method="inclusive") if len(values) > 1 else values
    return statistics.median(values), tenths[0], tenths[-1]


def spawn(command, env):
    """Starts a command, returns (milliseconds to the stamp it prints, milliseconds to its end)."""
    reader, writer = os.pipe()
    actions = [
        (os.POSIX_SPAWN_DUP2, writer, 1),
        (os.POSIX_SPAWN_CLOSE, reader),
        (os.POSIX_SPAWN_CLOSE, writer),
    ]
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    pid = os.posix_spawn(command[0], command, env, file_actions=actions)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    ended = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    output = os.read(reader, 100)
    os.close(reader)
    if status or not output.strip().isdigit():
        raise BenchError(
            f"{command[0]}: status {os.waitstatus_to_exitcode(status)}, output {output!r}"
        )
    return (int(output) - began) / 1e6, (ended - began) / 1e6
