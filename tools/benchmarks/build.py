"""Building real applications, against shiv (which compiles nothing), against the same work by
Python's own tools, and through pip."""

import os
import shutil
import statistics
import subprocess
import time

from benchmarks import applications
from benchmarks.bench import PYTHON, BenchError, spread, table

# Times the peer's. The goal is the same for all.
GOAL = 0.5
LIMITS = {
    "shiv": {"Django": 4.0, "Flask": 6.0, "certbot": 5.0, "numpy, scipy": 2.5},
    "compileall, zip": {"Django": 1.5, "Flask": 2.0, "certbot": 1.8, "numpy, scipy": 1.5},
    "pip, shiv": {"Django": 1.5, "Flask": 1.6, "certbot": 1.6, "numpy, scipy": 1.3},
}


class Builds:
    """The ways to build one application."""

    def __init__(self, bench, name, tree, shiv, wheels):
        self.bench = bench
        self.name = name
        self.tree = tree
        self.out = bench.work / "built"
        self.copy = applications.compiled_copy(bench, tree)
        wheel = ["--no-index", "--find-links", wheels, applications.wheel(tree, wheels)]
        haft = [bench.haft, "build", "-o", self.out, "-m", applications.ENTRY]
        self.ways = {
            "haft": lambda: self.timed([*haft, "--site-packages", tree]),
            "haft, sources only": lambda: self.timed(
                [*haft, "--site-packages", tree, "--no-compile", "--no-profile"]
            ),
            "compileall, zip": self.compile_and_zip,
            "pip, haft": lambda: self.timed([*haft, "--", *wheel]),
        }
        if shiv:
            self.ways["shiv"] = lambda: self.timed([*shiv, "--site-packages", tree, "-o", self.out])
            self.ways["pip, shiv"] = lambda: self.timed([*shiv, "-o", self.out, *wheel])

    def timed(self, *commands):
        """Milliseconds of commands, one after another."""
        began = time.monotonic()
        for command in commands:
            done = subprocess.run(
                [os.fspath(word) for word in command],
                env=self.bench.env,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
            )
            if done.returncode:
                raise BenchError(f"{os.path.basename(command[0])}: {done.stderr.strip()[-500:]}")
        took = (time.monotonic() - began) * 1e3
        self.out.unlink(missing_ok=True)
        return took

    def compile_and_zip(self):
        """What haft does but for the profile: compiles on all CPUs and packs sources and compiled
        code."""
        for directory in list(self.copy.rglob("__pycache__")):
            shutil.rmtree(directory)
        return self.timed(
            [PYTHON, "-m", "compileall", "-q", "-j", "0", self.copy],
            [PYTHON, "-m", "zipfile", "-c", self.out, self.copy],
        )

    def measure(self, runs):
        def compare(suffix, key):
            samples = self.bench.rounds(f"building {self.name}", self.ways, runs, warm_up=1)
            middle = {way: statistics.median(values) for way, values in samples.items()}
            table(
                f"Building {self.name}{suffix} ({runs} runs each)",
                ["milliseconds", "median", "p10", "p90", "haft's"],
                [
                    [
                        way,
                        *spread(values),
                        "" if "haft" in way else f"{ours(middle, way) / middle[way]:.2f} ×",
                    ]
                    for way, values in samples.items()
                ],
            )
            ratios = {way: ours(middle, way) / middle[way] for way in LIMITS if way in middle}
            self.bench.results[key] = {"samples_ms": samples, "ratios": ratios}
            for way, ratio in ratios.items():
                if self.name in LIMITS[way]:
                    yield (
                        f"{self.name}: building, time against {way}",
                        ratio,
                        LIMITS[way][self.name],
                        "×",
                        GOAL,
                    )

        self.bench.judged(f"build_{self.name}", compare)
        shutil.rmtree(self.copy)


def ours(middle, way):
    """What of haft's is to be compared with this way."""
    return middle["pip, haft" if way.startswith("pip") else "haft"]


def measure(bench):
    shiv = applications.shiv(bench)
    wheels = bench.work / "wheels"
    wheels.mkdir(exist_ok=True)
    bench.env["PIP_ROOT_USER_ACTION"] = "ignore"
    for name, tree in applications.trees(bench).items():
        Builds(bench, name, tree, shiv, wheels).measure(bench.runs(7))
