"""`tools/bench read`, one large file: from beginning to end, at random places by fio, and the
server's memory after 10 GB."""

import json
import os
import pathlib
import statistics
from collections.abc import Callable

from benchmarks.bench import TOOLS, BenchError, spread, table, warm
from benchmarks.mounts import HaftMount, mount_peer, resident, squashfs

SIZE, QUICK_SIZE = 512 << 20, 16 << 20
LIBRARIES = "/usr/lib"
MEMORY_BYTES, QUICK_MEMORY_BYTES = 10 * 10**9, 10**8
FIO_SECONDS = 6
ENGINES = ("psync", "mmap")


def measure(bench, found):
    size = QUICK_SIZE if bench.options.quick else SIZE
    path = make_file(bench, size)
    bundle = bench.build("large", path.parent, "--no-profile", "--compression", "lz4")
    mounts = {"haft": lambda: HaftMount(bench, bundle)}
    if found:
        image = squashfs(bench, f"large-{size >> 20}", path.parent.parent, again=False)
        warm(image)
        mounts |= {name: lambda name=name: mount_peer(bench, name, image) for name in found}
    sequential(bench, path, mounts)
    if bench.has("fio", "fio", "random reads"):
        random_reads(bench, path, mounts)
    memory(bench, path, mounts)


def make_file(bench, size):
    """Shared libraries of this system one behind another, as often as it takes; alone in a
    directory."""
    path = bench.work / f"large-{size >> 20}-tree" / "site-packages" / "libraries.bin"
    if path.exists():
        return path
    bench.progress.show("making the large file …")
    path.parent.mkdir(parents=True, exist_ok=True)
    libraries = [
        file
        for file in sorted(pathlib.Path(LIBRARIES).rglob("*.so*"))
        if file.is_file() and not file.is_symlink()
    ]
    if not libraries:
        raise BenchError(f"{LIBRARIES}: no shared libraries")
    new = path.with_suffix(".new")
    with open(new, "wb") as out:
        while out.tell() < size:
            for library in libraries:
                out.write(library.read_bytes())
                if out.tell() >= size:
                    break
        out.truncate(size)
    new.rename(path)
    return path


def file_in(mount, path):
    return f"{mount.point}/site-packages/{path.name}"


# --- from beginning to end ------------------------------------------------------------------------


def sequential(bench, path, mounts):
    """GB/s of one reader, caches of the mount empty, beside what one core decodes in the same
    rounds."""
    runs, size = bench.runs(7), path.stat().st_size

    def read(mount):
        with mount:
            output = bench.call(bench.probe, "--probe-read", f"{mount.point}/site-packages").split()
            if int(output[2]) != size:
                raise BenchError(f"{path.name}: {output[2]} bytes instead of {size}")
            return size / int(output[0])

    variants: dict[str, Callable] = {
        name: lambda mount=mount: read(mount()) for name, mount in mounts.items()
    }
    decoder = bench.work / "lz4_rate"
    try:
        bench.call("cc", "-O2", "-o", decoder, TOOLS / "benchmarks" / "lz4_rate.c", "-llz4")
    except BenchError as error:
        bench.left_out(f"lz4's decoding rate: {error}")
    else:
        blocks = bench.work / "large.blocks"
        bench.progress.show("compressing blocks …")
        bench.call(decoder, "pack", path, blocks, "4")

        def decode():
            nanoseconds, count = map(int, bench.call(decoder, "decode", blocks).split())
            return count / nanoseconds

        variants["lz4, one core"] = decode

    def beginning_to_end(suffix, key):
        samples = bench.rounds("from beginning to end", variants, runs, warm_up=1)
        medians = {name: statistics.median(values) for name, values in samples.items()}
        table(
            f"One file of {size / 1e6:.0f} MB from beginning to end, from a fresh "
            f"mount{suffix} ({runs} runs each)",
            ["GB/s", "median", "p10", "p90", "haft's rate"],
            [
                [name, *spread(values), medians["haft"] / medians[name]]
                for name, values in samples.items()
            ],
        )
        bench.results[key] = {"samples_gb_s": samples}
        if "lz4, one core" in medians:
            yield (
                "large file: rate against one core's lz4",
                medians["haft"] / medians["lz4, one core"],
                0.25,
                "×",
                0.8,
                True,
            )

    bench.judged("sequential", beginning_to_end)


# --- at random places -----------------------------------------------------------------------------


def random_reads(bench, path, mounts):
    """GB/s of 4 jobs: until as much as the file holds has been read, which the file systems have to
    bring; and over a fixed time, in which the page cache soon holds all of it and the kernel is
    compared with itself."""
    runs, size = bench.runs(3), path.stat().st_size
    seconds = 1 if bench.options.quick else FIO_SECONDS
    kinds = {
        "as much as the file": [f"--io_size={size // 4}"],
        f"{seconds} s": ["--time_based", f"--runtime={seconds}"],
    }

    def fio(mount, engine, options):
        with mount:
            output = bench.call(
                "fio",
                "--name=random",
                f"--filename={file_in(mount, path)}",
                "--readonly",
                "--rw=randread",
                "--bsrange=4k-128k",
                "--norandommap",
                "--numjobs=4",
                "--group_reporting",
                f"--ioengine={engine}",
                "--output-format=json",
                *options,
                cwd=bench.work,
            )
            job = json.loads(output[output.index("{") :])["jobs"][0]
            if job["error"] or not job["read"]["total_ios"]:
                raise BenchError(
                    f"fio: error {job['error']} after {job['read']['total_ios']} reads"
                )
            return job["read"]["bw_bytes"] / 1e9

    rows: dict[str, list] = {name: [] for name in mounts}
    for kind, options in kinds.items():
        for engine in ENGINES:
            variants = {
                name: lambda mount=mount, engine=engine, options=options: fio(
                    mount(), engine, options
                )
                for name, mount in mounts.items()
            }
            timed = kind.endswith(" s")
            samples = bench.rounds(
                f"fio, {engine}, {kind}", variants, 1 if timed else runs, warm_up=0
            )
            medians = {name: statistics.median(values) for name, values in samples.items()}
            for name, value in medians.items():
                rows[name].append(value)
            bench.results[f"fio_{engine}_{'timed' if timed else 'once'}"] = {
                "samples_gb_s": samples
            }
            if not timed and "squashfuse_ll" in medians:
                bench.verdict(
                    f"fio, {engine}: rate against squashfuse_ll",
                    medians["haft"] / medians["squashfuse_ll"],
                    1,
                    "×",
                    2,
                    True,
                )
    table(
        f"Random reads of 4 to 128 KiB by 4 jobs of fio, from a fresh mount (medians of "
        f"{runs} runs; by time 1)",
        ["GB/s"] + [f"{engine}, {kind}" for kind in kinds for engine in ENGINES],
        [[name, *values] for name, values in rows.items()],
    )


# --- memory ---------------------------------------------------------------------------------------


def memory(bench, path, mounts):
    """The file is read again and again, forgotten by the page cache between, until the server has
    brought 10 GB."""
    wanted, size = QUICK_MEMORY_BYTES if bench.options.quick else MEMORY_BYTES, path.stat().st_size
    rows = []
    for name, mount_one in mounts.items():
        with mount_one() as mount:
            if not mount.pid:
                continue
            for done in range(0, wanted, size):
                bench.progress.show(f"{name}: {done / 1e9:.1f} GB read")
                warm(file_in(mount, path))
                forget(file_in(mount, path))
            if name == "haft" and mount.stats()["read_bytes"] < wanted:
                raise BenchError(
                    f"the server brought only {mount.stats()['read_bytes']} bytes: the page "
                    f"cache answered"
                )
            rows.append([name, *resident(mount.pid)])
    bench.progress.clear()
    table(
        f"Server memory after {wanted / 1e9:g} GB", ["resident MB", "after reading", "most"], rows
    )
    bench.results["memory_large_mb"] = {row[0]: row[1:] for row in rows}
    bench.verdict(f"server memory after {wanted / 1e9:g} GB", rows[0][1], 40.0, "MB")


def forget(path):
    """Drops a file's pages from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
