"""Launch to the first instruction of Python, against the same Python started directly."""

import functools
import os
import statistics

from benchmarks import files
from benchmarks.bench import PYTHON, spawn, spread, table

DJANGO = (
    "import django.core.management, django.db.models, django.http, django.template, "
    "django.contrib.admin"
)


def overheads(bench, title, samples, direct, key):
    """Prints a table of {name: [ms]} with the difference to `direct`; returns {name: overhead}."""
    base = statistics.median(samples[direct])
    rows, found = [], {}
    for name, values in samples.items():
        middle, low, high = spread(values)
        found[name] = middle - base
        rows.append([name, middle, low, high, "" if name == direct else f"{middle - base:+.2f}"])
    table(title, ["milliseconds", "median", "p10", "p90", "overhead"], rows)
    bench.results[key] = {"samples_ms": samples, "overhead_ms": found}
    return found


def measure(bench):
    runs = bench.runs(40)
    stamp = [os.fspath(bench.probe), "--probe-stamp"]

    def first_stamp(command):
        return spawn(command, bench.env)[0]

    first = {"direct": functools.partial(first_stamp, stamp)}
    for count in (1_000, 50_000):
        bundle = bench.build(
            f"files-{count}",
            files.make_files(bench, count),
            "-m",
            "bench_entry",
            "--no-compile",
            "-p",
            bench.probe,
        )
        command = [os.fspath(bundle), "--probe-stamp"]
        first[f"{count} files"] = functools.partial(first_stamp, command)

    def first_instruction(suffix, key):
        samples = bench.rounds("first instruction", first, runs)
        found = overheads(
            bench,
            f"Launch to the first instruction of Python{suffix} ({runs} runs each)",
            samples,
            "direct",
            key,
        )
        yield "start overhead with 50 000 files", found["50000 files"], 3.0, "ms", 1.5

    bench.judged("first_instruction", first_instruction)

    tree = bench.work / "tree-1000"
    bundle = bench.build("program", tree, "-m", "bench_entry")
    plain = {**bench.env, "PYTHONPATH": os.fspath(bench.extracted(bundle))}
    program = {
        "directory": (lambda: spawn([PYTHON, "-m", "bench_entry"], plain)),
        "bundle": (lambda: spawn([os.fspath(bundle)], bench.env)),
    }
    samples = bench.rounds("first statement", program, runs)
    overheads(
        bench,
        f"Launch to the first statement of a program ({runs} runs each)",
        {name: [first for first, _ in values] for name, values in samples.items()},
        "directory",
        "first_statement",
    )
    overheads(
        bench,
        f"Launch to the end of a program that does nothing ({runs} runs each)",
        {name: [end for _, end in values] for name, values in samples.items()},
        "directory",
        "empty_program",
    )
    bench_django_start(bench, max(9, runs // 2))


def bench_django_start(bench, runs):
    entry = bench.work / "django-entry"
    entry.mkdir(exist_ok=True)
    (entry / "bench_django.py").write_text(f"{DJANGO}\nprint(1)\n")
    bundle = bench.build(
        "django-start", bench.django_tree(), "--site-packages", entry, "-m", "bench_django"
    )
    plain = {**bench.env, "PYTHONPATH": os.fspath(bench.extracted(bundle))}
    samples = bench.rounds(
        "importing Django",
        {
            "directory": lambda: spawn([PYTHON, "-c", f"{DJANGO}; print(1)"], plain)[1],
            "bundle": lambda: spawn([os.fspath(bundle)], bench.env)[1],
        },
        runs,
    )
    overheads(
        bench,
        f"Launch to the end of a program that imports much of Django ({runs} runs each)",
        samples,
        "directory",
        "django_start",
    )
