"""How costs grow with files, bytes, depth and processes."""

import os
import shutil
import statistics
import subprocess
import time

from benchmarks import files
from benchmarks.bench import ENTRY, PYTHON, BenchError, spawn, spread, table
from benchmarks.mounts import HaftMount, cpu_time, resident

# (usual, --quick)
COUNTS = (1_000, 100_000, 1_000_000), (100, 1_000)
BYTES = (10**6, 10**8, 4 * 10**9), (10**6, 10**7)
DEPTHS = (1, 10, 100), (1, 10)
READERS = (1, 8, 64), (1, 8)
STARTS = (1, 2, 4, 8), (1, 2)

CHUNK = 50_000_000
START_LIMIT = 1.0  # ms between the fastest and the slowest start
# Cost of one of the most files as a ratio to the least there is among fewer. What the server does
# for it has to be constant; the time also has the kernel's growing tables of names and inodes in
# it, which make even a walk without any request dearer.
PER_FILE_GOAL, PER_FILE_LIMIT = 1.25, 1.6


def measure(bench):
    growth_with_files(bench)
    growth_with_bytes(bench)
    growth_with_depth(bench)
    growth_with_processes(bench)


def choice(bench, values):
    return values[1 if bench.options.quick else 0]


def amount(number):
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:g} {unit}"
    return str(number)


def stamp_bundle(bench, name, tree, *arguments):
    """A bundle that prints when its interpreter's main() began: nothing of Python is in the
    time."""
    return bench.build(
        name,
        tree,
        "-m",
        "bench_entry",
        "--no-compile",
        "--no-profile",
        "-p",
        bench.probe,
        *arguments,
    )


def starts(bench, what, bundles):
    """{name: [median, p10, p90] of the milliseconds to the first instruction}; judges that size
    does not matter."""
    runs, rows = bench.runs(40), {}
    variants = {
        name: lambda bundle=bundle: spawn([os.fspath(bundle), "--probe-stamp"], bench.env)[0]
        for name, bundle in bundles.items()
    }

    def judged(_, key):
        samples = bench.rounds(f"start, by {what}", variants, runs)
        rows.update({name: list(spread(values)) for name, values in samples.items()})
        bench.results[key] = {"samples_ms": samples}
        medians = [row[0] for row in rows.values()]
        yield f"{what}: slowest start minus fastest", max(medians) - min(medians), START_LIMIT, "ms"

    bench.judged(f"scale_{what}_start", judged)
    return rows


def walk(bench, work, mount):
    """Nanoseconds per file of one process that does `work` (find, stat, read) with everything in a
    mount."""
    nanoseconds, count, _ = map(
        int, bench.call(bench.probe, f"--probe-{work}", f"{mount.point}/site-packages").split()
    )
    return nanoseconds / count


# --- files ----------------------------------------------------------------------------------------


def growth_with_files(bench):
    bundles, counts = {}, {}
    for count in choice(bench, COUNTS):
        counts[amount(count)] = count
        bundles[amount(count)] = stamp_bundle(
            bench, f"scale-{count}", files.make_files(bench, count)
        )
    start = starts(bench, "files", bundles)
    runs = bench.runs(5)
    memory: dict = {}
    times: dict = {}
    servers: dict = {}

    def fresh_walk(name, work):
        with HaftMount(bench, bundles[name]) as mount:
            before = cpu_time(mount.pid)
            cost = walk(bench, work, mount) / 1e3
            servers[work][name].append((cpu_time(mount.pid) - before) / 1e3 / counts[name])
            memory[name] = resident(mount.pid)[0]
            return cost

    def growth(costs):
        *fewer, most = (statistics.median(values) for values in costs.values())
        return most / min(fewer)

    def judged(_, key):
        for work in ("find", "stat"):
            servers[work] = {name: [] for name in bundles}
            variants = {
                name: lambda name=name, work=work: fresh_walk(name, work) for name in bundles
            }
            times[work] = bench.rounds(f"{work} of every file", variants, runs, warm_up=1)
            bench.results[f"{key}_{work}"] = {
                "samples_us": times[work],
                "server_cpu_us": servers[work],
            }
            yield (
                f"files: {work}, time of one of most against one of fewer",
                growth(times[work]),
                PER_FILE_LIMIT,
                "×",
                PER_FILE_GOAL,
            )
            yield (
                f"files: {work}, the server's CPU for it, likewise",
                growth(servers[work]),
                PER_FILE_GOAL,
                "×",
            )

    bench.judged("scale_files", judged)
    table(
        "Growth with the number of files (start: ms to the first instruction; µs per file on "
        "a fresh mount, and of CPU in the server; "
        "memory of the server after it: MB)",
        ["files", "start", "p10", "p90", "find", "server", "stat", "server", "memory"],
        [
            [
                name,
                *start[name],
                *(
                    statistics.median(costs[work][name])
                    for work in times
                    for costs in (times, servers)
                ),
                memory[name],
            ]
            for name in bundles
        ],
    )
    bench.results["scale_files_memory_mb"] = memory


# --- bytes ----------------------------------------------------------------------------------------


def growth_with_bytes(bench):
    """Bytes that cannot be compressed and are not, so that building takes no longer than
    copying."""
    bundles, memory = {}, {}
    noise = os.urandom(min(CHUNK, choice(bench, BYTES)[-1]))
    for size in choice(bench, BYTES):
        tree = bench.work / f"bytes-{size}"
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        (tree / "bench_entry.py").write_text(ENTRY)
        bench.progress.show(f"writing {amount(size)}B …")
        for number, done in enumerate(range(0, size, len(noise))):
            part = noise[: min(len(noise), size - done)]
            (tree / f"noise{number}").write_bytes(
                b"%16d" % number + part[16:]
            )  # no two are the same
        bundle = stamp_bundle(bench, f"scale-bytes-{size}", tree, "--compression", "none")
        shutil.rmtree(tree)
        bundles[f"{amount(size)}B"] = bundle
    start = starts(bench, "bytes", bundles)

    def read(name):
        with HaftMount(bench, bundles[name]) as mount:
            nanoseconds = walk(bench, "read", mount) * len(
                os.listdir(f"{mount.point}/site-packages")
            )
            memory[name] = resident(mount.pid)[0]
            return nanoseconds / os.path.getsize(bundles[name])

    # A first round that does not count: memory that a virtual machine has not used before is slow
    # at its first use.
    samples = bench.rounds(
        "reading, by bytes",
        {name: lambda name=name: read(name) for name in bundles},
        bench.runs(3),
        warm_up=1,
    )
    table(
        "Growth with the bytes stored (ms to the first instruction; reading all: ns per byte; "
        "server: MB after that)",
        ["stored", "start", "p10", "p90", "reading", "server"],
        [[name, *start[name], statistics.median(samples[name]), memory[name]] for name in bundles],
    )
    bench.results["scale_bytes"] = {"samples_ns": samples, "memory_mb": memory}


# --- depth ----------------------------------------------------------------------------------------


def growth_with_depth(bench):
    """1000 files, at the end of a chain of directories."""
    bundles = {}
    deepest = {}
    for depth in choice(bench, DEPTHS):
        tree = bench.work / f"depth-{depth}"
        if not tree.exists():
            bottom = tree.joinpath(*["level"] * depth)
            bottom.mkdir(parents=True)
            for number in range(1000):
                (bottom / f"module{number}.py").write_text(f"VALUE = {number}\n")
            (tree / "bench_entry.py").write_text(ENTRY)
        bundles[str(depth)] = stamp_bundle(bench, f"scale-depth-{depth}", tree)
        deepest[str(depth)] = "/".join(["level"] * depth) + "/module500.py"
    start = starts(bench, "depth", bundles)

    def first_stat(name):
        with HaftMount(bench, bundles[name]) as mount:
            began = time.perf_counter()
            os.stat(f"{mount.point}/site-packages/{deepest[name]}")
            return (time.perf_counter() - began) * 1e3

    def find(name):
        with HaftMount(bench, bundles[name]) as mount:
            return walk(bench, "find", mount) / 1e3

    runs = bench.runs(9)
    samples = {
        work.__name__: bench.rounds(
            f"{work.__name__}, by depth",
            {name: lambda name=name, work=work: work(name) for name in bundles},
            runs,
        )
        for work in (first_stat, find)
    }
    table(
        "Growth with the depth of 1000 files (ms to the first instruction; ms to the first "
        "status of the deepest file; find: µs per file)",
        ["levels", "start", "p10", "p90", "first stat", "find"],
        [
            [name, *start[name], *(statistics.median(samples[work][name]) for work in samples)]
            for name in bundles
        ],
    )
    bench.results["scale_depth"] = samples


# --- processes ------------------------------------------------------------------------------------


def growth_with_processes(bench):
    tree = files.make_files(bench, choice(bench, COUNTS)[0])
    bundle = bench.build("scale-program", tree, "-m", "bench_entry")
    readers_of_one_mount(bench, bundle)
    starts_at_once(bench, bundle)


def readers_of_one_mount(bench, bundle):
    """Every process reads all files of a fresh mount; they begin together."""
    memory = {}

    def read(readers):
        with HaftMount(bench, bundle) as mount:
            began = time.monotonic()
            started = [
                subprocess.Popen(
                    [bench.probe, "--probe-read", f"{mount.point}/site-packages"],
                    stdout=subprocess.PIPE,
                )
                for _ in range(readers)
            ]
            outputs = [process.communicate()[0].split() for process in started]
            wall = (time.monotonic() - began) * 1e3
            if any(output[1:] != outputs[0][1:] or len(output) != 3 for output in outputs):
                raise BenchError("the readers did not read the same")
            memory[readers] = (mount.stats()["operations"]["read"], resident(mount.pid)[0])
            return wall / readers

    counts = choice(bench, READERS)
    samples = bench.rounds(
        "readers",
        {str(count): lambda count=count: read(count) for count in counts},
        bench.runs(9),
        warm_up=1,
    )
    table(
        "Processes that read all files of one fresh mount at the same time (ms per process; "
        "READ requests; server: MB)",
        ["processes", "median", "p10", "p90", "READs", "server"],
        [
            [name, *spread(values), str(memory[int(name)][0]), memory[int(name)][1]]
            for name, values in samples.items()
        ],
    )
    bench.results["scale_readers"] = {"samples_ms": samples, "requests_memory_mb": memory}


def starts_at_once(bench, bundle):
    """Mean time of a start among several, beside the same files in a directory."""
    plain = {**bench.env, "PYTHONPATH": os.fspath(bench.extracted(bundle))}
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]

    def together(count, command, env):
        began = {}
        for _ in range(count):
            now = time.monotonic()
            began[os.posix_spawn(command[0], command, env, file_actions=silent)] = now
        total = 0.0
        for _ in range(count):
            pid, status = os.wait()
            if status:
                raise BenchError(f"{command[0]}: status {os.waitstatus_to_exitcode(status)}")
            total += time.monotonic() - began[pid]
        return total / count * 1e3

    variants = {}
    for count in choice(bench, STARTS):
        variants[f"{count}, bundle"] = lambda count=count: together(
            count, [os.fspath(bundle)], bench.env
        )
        variants[f"{count}, directory"] = lambda count=count: together(
            count, [PYTHON, "-m", "bench_entry"], plain
        )
    samples = bench.rounds("starts at once", variants, bench.runs(15))
    rows = []
    for count in choice(bench, STARTS):
        ours, theirs = (
            statistics.median(samples[f"{count}, {form}"]) for form in ("bundle", "directory")
        )
        rows.append([str(count), ours, theirs, ours - theirs, ours / theirs])
    table(
        "Starts at once of a program that does nothing (mean ms of one)",
        ["starts", "bundle", "directory", "difference", "ratio"],
        rows,
    )
    bench.results["scale_starts"] = {"samples_ms": samples}
