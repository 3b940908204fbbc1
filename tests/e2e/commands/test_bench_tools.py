"""tools/bench: each subject runs in its smallest setting, finds what it is to find, and leaves
nothing behind. No times: they are for --check."""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import unittest

import support

sys.path.append(str(support.REPO / "tools"))
from benchmarks import bench, mounts

SECONDS = 40


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class TestBenchTools(support.TestCase):
    seconds = 240

    def measure(self, subject, *words):
        out = support.unique_dir()
        results = os.path.join(out, "results.json")
        with self.clean():
            done = support.run(
                [
                    support.PYTHON,
                    support.REPO / "tools" / "bench",
                    subject,
                    "--quick",
                    "--work",
                    os.path.join(out, "work"),
                    "--json",
                    results,
                    "--haft",
                    support.HAFT,
                    *words,
                ],
                timeout=220,
                check=True,
            )
        self.assertEqual(done.stderr, "")
        with open(results, encoding="utf-8") as file:
            found = json.load(file)
        shutil.rmtree(out)
        return found, done.stdout

    def assert_series(self, samples, names):
        self.assertEqual(set(samples), set(names))
        for name, values in samples.items():
            self.assertTrue(values and all(value > 0 for value in values), f"{name}: {values}")

    def test_read(self):
        for tool in ("squashfuse_ll", "mksquashfs", "fio"):
            self.assertTrue(shutil.which(tool), f"{tool} is missing")
        found, printed = self.measure("read")
        with open("/proc/filesystems", encoding="ascii") as file:
            kernel = "\tsquashfs\n" in file.read()
        self.assertIn("server memory after", printed)
        mounts = ["haft", "squashfuse_ll"] + ["kernel squashfs"] * kernel
        tree = set(found["read_one"]["samples_ms"]) - {"kernel squashfs, direct"}
        self.assertEqual(tree, {*mounts, "haft, lz4"})
        self.assertEqual(set(found["read_four"]["ratios"]), set(mounts[1:]))
        self.assert_series(found["sequential"]["samples_gb_s"], [*mounts, "lz4, one core"])
        for engine in ("psync", "mmap"):
            for kind in ("once", "timed"):
                self.assert_series(found[f"fio_{engine}_{kind}"]["samples_gb_s"], mounts)
        self.assertEqual(set(found["memory_large_mb"]), {"haft", "squashfuse_ll"})
        loops = subprocess.run(
            ["losetup", "--list", "--noheadings", "--output", "BACK-FILE"],
            text=True,
            capture_output=True,
            check=True,
        )
        self.assertNotIn("large-", loops.stdout)

    def test_scale(self):
        found, printed = self.measure("scale")
        for what, names in (
            ("files", ["100", "1 k"]),
            ("bytes", ["1 MB", "10 MB"]),
            ("depth", ["1", "10"]),
        ):
            self.assert_series(found[f"scale_{what}_start"]["samples_ms"], names)
        for work in ("find", "stat"):
            self.assert_series(found[f"scale_files_{work}"]["samples_us"], ["100", "1 k"])
            self.assert_series(found[f"scale_files_{work}"]["server_cpu_us"], ["100", "1 k"])
        self.assert_series(found["scale_bytes"]["samples_ns"], ["1 MB", "10 MB"])
        self.assert_series(found["scale_depth"]["first_stat"], ["1", "10"])
        self.assert_series(found["scale_readers"]["samples_ms"], ["1", "8"])
        self.assert_series(
            found["scale_starts"]["samples_ms"],
            [f"{count}, {form}" for count in (1, 2) for form in ("bundle", "directory")],
        )
        self.assertEqual(
            sorted(limit["what"].split(":")[0] for limit in found["limits"]),
            ["bytes", "depth", *["files"] * 5],
        )
        self.assertIn("Growth with the depth", printed)

    def test_size(self):
        found, printed = self.measure("size", *self.shiv())
        self.assertEqual(
            set(found["size_small"]["mb"]), {"haft", "runtime", "plain", "zip", "shiv"}
        )
        self.assertLess(found["size_small"]["mb"]["runtime"], found["size_small"]["mb"]["haft"])
        self.assertIn("haft / shiv", printed)

    def test_build(self):
        found, printed = self.measure("build", *self.shiv())
        self.assert_series(
            found["build_small"]["samples_ms"],
            ["haft", "haft, sources only", "compileall, zip", "pip, haft", "shiv", "pip, shiv"],
        )
        self.assertEqual(
            set(found["build_small"]["ratios"]), {"shiv", "compileall, zip", "pip, shiv"}
        )
        self.assertIn("Building small", printed)

    def test_without_shiv(self):
        found, printed = self.measure("size")
        if "shiv" not in found["size_small"]["mb"]:  # it may be installed
            self.assertIn("left out: shiv: not found", printed)

    def shiv(self):
        """A stand-in, which makes a file."""
        script = os.path.join(support.unique_dir(), "stand-in")
        with open(script, "w", encoding="utf-8") as file:
            file.write(
                "#!/usr/bin/python3\nimport sys\n"
                "open(sys.argv[sys.argv.index('-o') + 1], 'w').write('file')\n"
            )
        os.chmod(script, 0o755)
        return "--shiv", script

    def test_missing_tools_are_named_and_fail_a_check(self):
        empty = bench.Bench.__new__(bench.Bench)  # without the preparations
        empty.env = {"PATH": support.unique_dir()}
        empty.options = argparse.Namespace(check=False)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(mounts.peers(empty), [])
        self.assertEqual(
            printed.getvalue(),
            "left out: squashfs: mksquashfs not found; apt-get install squashfs-tools\n",
        )
        empty.options.check = True
        with self.assertRaisesRegex(bench.BenchError, "fio not found"):
            empty.has("fio", "fio", "random reads")

    @support.long_test
    def test_start(self):
        found, _ = self.measure("start")
        self.assert_series(
            found["first_instruction"]["samples_ms"], ["direct", "1000 files", "50000 files"]
        )
        self.assert_series(found["django_start"]["samples_ms"], ["directory", "bundle"])

    @support.long_test
    def test_archive(self):
        found, _ = self.measure("archive")
        self.assert_series(found["archive"]["samples_ms"], ["haft run", "zipfile"])


if __name__ == "__main__":
    unittest.main()
