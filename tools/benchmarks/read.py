"""A whole Django tree, against squashfuse_ll side by side."""

import os
import shutil
import statistics
import subprocess
import time

from benchmarks.bench import BenchError, spread, table, warm
from benchmarks.mounts import HaftMount, SquashfuseMount, resident


def measure(bench):
    for tool, package in (("squashfuse_ll", "squashfuse"), ("mksquashfs", "squashfs-tools")):
        if not shutil.which(tool):
            raise BenchError(f"{tool} not found; apt-get install {package}")
    runs = bench.runs(15)
    bundle = bench.build("django", bench.django_tree(), "-m", "django")
    plain = bench.extracted(bundle)
    image = bench.work / "django.squashfs"
    image.unlink(missing_ok=True)
    bench.progress.show("making the squashfs image …")
    bench.call("mksquashfs", plain.parent, image, "-comp", "lz4", "-b", "131072", "-no-progress")
    warm(image)
    memory = {}
    counts = set()

    def read(mount, name, readers):
        with mount:
            command = [os.fspath(bench.probe), "--probe-read", f"{mount.point}/site-packages"]
            began = time.monotonic()
            started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(readers)]
            outputs = [reader.communicate()[0].split() for reader in started]
            wall = (time.monotonic() - began) * 1e3
            if any(len(output) != 3 for output in outputs):
                raise BenchError(f"{name}: not everything could be read")
            counts.update((output[1], output[2]) for output in outputs)
            now, most = resident(mount.pid)
            memory[name] = (max(now, memory.get(name, (0, 0))[0]), max(most, memory.get(name, (0, 0))[1]))
            return int(outputs[0][0]) / 1e6 if readers == 1 else wall

    def compare(readers, key, suffix=""):
        samples = bench.rounds(f"reading, {readers} at a time", {
            "haft": lambda: read(HaftMount(bench, bundle), "haft", readers),
            "squashfuse_ll": lambda: read(SquashfuseMount(bench, image), "squashfuse_ll", readers),
        }, runs)
        ratio = statistics.median(samples["haft"]) / statistics.median(samples["squashfuse_ll"])
        files, size = next(iter(counts))
        table(f"Reading the Django tree from a fresh mount, {readers} reader{'s' * (readers > 1)}{suffix} "
              f"({files} files, {int(size) / 1e6:.1f} MB, {runs} runs each): {ratio:.2f} of squashfuse_ll's time",
              ["milliseconds", "median", "p10", "p90"], [[name, *spread(values)] for name, values in samples.items()])
        bench.results[key] = {"samples_ms": samples, "ratio": ratio}
        return ratio

    bench.judged("read_one", lambda suffix, key: [("reading, time against squashfuse_ll", compare(1, key, suffix), 1.0, "×", 0.5)])
    compare(4, "read_four")
    if len(counts) != 1:
        raise BenchError(f"the mounts do not show the same files: {counts}")
    table("Server memory", ["resident MB", "after reading", "most"],
          [[name, *values] for name, values in memory.items()])
    table("Size", ["MB", "file"], [["haft (with runtime)", bundle.stat().st_size / 1e6],
                                  ["squashfs, lz4", image.stat().st_size / 1e6]])
    bench.results["memory_mb"] = memory
    bench.verdict("server memory after reading", memory["haft"][0], 40.0, "MB")
