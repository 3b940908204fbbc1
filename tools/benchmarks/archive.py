"""A 35 MB zipapp of 8 000 files: start by haft run, against unpacking it with Python's zipfile."""

import os
import random
import shutil
import statistics
import time
import zipfile

from benchmarks.bench import ENTRY, spawn, spread, table, warm

ARCHIVE_FILES = 8_000
ARCHIVE_BYTES = 35_000_000


# 200 modules of the archive, and when they were there.
ARCHIVE_IMPORTS = (
    "import importlib, time\n"
    "for i in range(200): importlib.import_module(f'package{i}.module{i % 39}')\n"
    "print(time.clock_gettime_ns(time.CLOCK_MONOTONIC))"
)


def make_archive(bench):
    """A zipapp of modules of different sizes: random words, which deflate packs to 0.57 (sources:
    to 0.3 or less, so that they take longer to unpack)."""
    path = bench.work / "archive.pyz"
    if path.exists():
        return path
    bench.progress.show("making the archive …")
    dice = random.Random(7)
    words = [
        "".join(dice.choices("abcdefghijklmnopqrstuvwxyz_", k=dice.randint(3, 11)))
        for _ in range(20_000)
    ]
    new = path.with_suffix(".new")
    with open(new, "wb") as out:
        out.write(b"#!/usr/bin/python3\n")
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__main__.py", ENTRY)
            for number in range(ARCHIVE_FILES - 1):
                left = ARCHIVE_BYTES - out.tell()
                size = left / (ARCHIVE_FILES - 1 - number) / 0.57 * dice.uniform(0.2, 1.8)
                lines = [f'"""Module {number}."""']
                while size > 0:
                    one, two, three = dice.choices(words, k=3)
                    lines.append(f"{one} = ('{two}', {dice.randrange(10**6)}, '{three}')")
                    size -= len(lines[-1])
                archive.writestr(f"package{number // 40}/module{number % 40}.py", "\n".join(lines))
    new.rename(path)
    warm(path)
    return path


def measure(bench):
    runs = bench.runs(9)
    archive = make_archive(bench)
    command = [bench.haft, "run", os.fspath(archive)]
    out = bench.work / "unpacked"

    def unpack():
        began = time.monotonic()
        with zipfile.ZipFile(archive) as file:
            file.extractall(out)
        took = (time.monotonic() - began) * 1e3
        shutil.rmtree(out)
        return took

    def start(suffix, key):
        samples = bench.rounds(
            "archive", {"haft run": lambda: spawn(command, bench.env)[0], "zipfile": unpack}, runs
        )
        ratio = statistics.median(samples["haft run"]) / statistics.median(samples["zipfile"])
        table(
            f"An archive of {ARCHIVE_FILES} files, {archive.stat().st_size / 1e6:.1f} MB: to "
            f"the first statement of its program, and "
            f"unpacking it{suffix} ({runs} runs each): {ratio:.3f} of the time",
            ["milliseconds", "median", "p10", "p90"],
            [[name, *spread(values)] for name, values in samples.items()],
        )
        bench.results[key] = {"samples_ms": samples, "ratio": ratio}
        yield "starting an archive, time against unpacking it", ratio, 0.33, "×"

    bench.judged("archive", start)

    # shiv leaves .pyc files out, so a start compiles; a conversion has them.
    converted = bench.work / "converted"
    bench.progress.show("converting the archive …")
    bench.call(bench.haft, "build", "--from", archive, "--no-profile", "-o", converted)
    env = {**bench.env, "HAFT_INTERPRETER": "1"}
    samples = bench.rounds(
        "imports",
        {
            "haft run, compiles": lambda: spawn([*command, "-c", ARCHIVE_IMPORTS], env)[0],
            "haft build --from": lambda: spawn([os.fspath(converted), "-c", ARCHIVE_IMPORTS], env)[
                0
            ],
        },
        runs,
    )
    table(
        f"The same archive: to the end of 200 imports ({runs} runs each)",
        ["milliseconds", "median", "p10", "p90"],
        [[name, *spread(values)] for name, values in samples.items()],
    )
    bench.results["archive_imports"] = {"samples_ms": samples}
