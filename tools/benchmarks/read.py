"""Reading through a mount, against squashfuse_ll and the kernel's squashfs: a whole Django tree,
then one large file."""

import functools
import os
import statistics
import subprocess
import time
from collections.abc import Callable

from benchmarks import files, large_file
from benchmarks.bench import BenchError, spread, table, warm
from benchmarks.mounts import HaftMount, KernelMount, mount_peer, peers, resident, squashfs


def measure(bench):
    found = peers(bench)
    Tree(bench, found).measure()
    large_file.measure(bench, found)


class Tree:
    """The Django packages as a bundle, as a bundle of lz4 alone, and as squashfs. Each reading is
    from a fresh mount, whose caches are empty; the image itself is in the page cache, but for
    `kernel squashfs, direct`, which does not use it."""

    def __init__(self, bench, found):
        self.bench = bench
        self.counts = set()
        self.memory = {}
        self.sizes = {}
        tree, module = (
            (files.make_files(bench, 300), "bench_entry")
            if bench.options.quick
            else (bench.django_tree(), "django")
        )
        arguments = [tree, "-m", module, "--name", "tree"]  # the name is in the compiled code
        bundles = {
            "haft": bench.build("tree", *arguments),
            "haft, lz4": bench.build("tree-lz4", *arguments, "--compression", "lz4"),
        }
        self.mounts: dict[str, Callable] = {
            name: lambda bundle=bundle: HaftMount(bench, bundle) for name, bundle in bundles.items()
        }
        self.sizes = {name: bundle.stat().st_size for name, bundle in bundles.items()}
        self.others = found
        if found:
            image = squashfs(bench, "tree", bench.extracted(bundles["haft"]).parent)
            warm(image)
            self.sizes["squashfs, lz4"] = image.stat().st_size
            self.mounts |= {
                name: functools.partial(mount_peer, bench, name, image) for name in found
            }
        if "kernel squashfs" in found and self.direct_works(image):
            self.mounts["kernel squashfs, direct"] = lambda: KernelMount(bench, image, direct=True)

    def direct_works(self, image):
        try:
            with KernelMount(self.bench, image, direct=True):
                return True
        except BenchError as error:
            print(f"left out: kernel squashfs, direct: {error}")
            return False

    def measure(self):
        bench, runs = self.bench, self.bench.runs(15)

        def one(suffix, key):
            ratios = self.compare(1, runs, key, suffix)
            if "squashfuse_ll" in ratios:
                yield (
                    "tree, 1 reader: time against squashfuse_ll",
                    ratios["squashfuse_ll"],
                    1.0,
                    "×",
                    0.5,
                )
            if "kernel squashfs" in ratios:
                yield (
                    "tree, 1 reader: time against the kernel's squashfs",
                    ratios["kernel squashfs"],
                    4.0,
                    "×",
                    0.77,
                )

        bench.judged("read_one", one)
        ratios = self.compare(4, runs, "read_four")
        if "squashfuse_ll" in ratios:
            bench.verdict(
                "tree, 4 readers: time against squashfuse_ll",
                ratios["squashfuse_ll"],
                1.0,
                "×",
                0.5,
            )
        if len(self.counts) != 1:
            raise BenchError(f"the mounts do not show the same files: {self.counts}")
        table(
            "Server memory",
            ["resident MB", "after reading", "most"],
            [[name, *values] for name, values in self.memory.items()],
        )
        table("Size", ["MB", "file"], [[name, size / 1e6] for name, size in self.sizes.items()])
        bench.results["memory_mb"] = self.memory
        bench.verdict("server memory after reading the tree", self.memory["haft"][0], 40.0, "MB")

    def compare(self, readers, runs, key, suffix=""):
        """{other: haft's time as a ratio to its}"""
        variants = {
            name: lambda name=name, mount=mount: self.read(name, mount(), readers)
            for name, mount in self.mounts.items()
        }
        samples = self.bench.rounds(f"reading, {readers} at a time", variants, runs)
        medians = {name: statistics.median(values) for name, values in samples.items()}
        files, size = next(iter(self.counts))
        table(
            f"Reading the tree from a fresh mount, {readers} "
            f"reader{'s' * (readers > 1)}{suffix} ({files} files, "
            f"{int(size) / 1e6:.1f} MB, {runs} runs each)",
            ["milliseconds", "median", "p10", "p90", "haft's time"],
            [
                [name, *spread(values), medians["haft"] / medians[name]]
                for name, values in samples.items()
            ],
        )
        ratios = {name: medians["haft"] / medians[name] for name in self.others}
        self.bench.results[key] = {"samples_ms": samples, "ratios": ratios}
        return ratios

    def read(self, name, mount, readers):
        with mount:
            command = [os.fspath(self.bench.probe), "--probe-read", f"{mount.point}/site-packages"]
            began = time.monotonic()
            started = [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(readers)
            ]
            outputs = [reader.communicate()[0].split() for reader in started]
            wall = (time.monotonic() - began) * 1e3
            if any(len(output) != 3 for output in outputs):
                raise BenchError(f"{name}: not everything could be read")
            self.counts.update((output[1], output[2]) for output in outputs)
            if mount.pid:
                now, most = resident(mount.pid)
                before = self.memory.get(name, (0, 0))
                self.memory[name] = (max(now, before[0]), max(most, before[1]))
            return int(outputs[0][0]) / 1e6 if readers == 1 else wall
