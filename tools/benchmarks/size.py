"""Bundles of real applications, against shiv's files of the same packages and against zips that
hold the compiled code too."""

import json
import os

from benchmarks import applications
from benchmarks.bench import PYTHON, table

# Times the size of shiv's file, which has no compiled code in it. The goal is the same for all.
GOAL = 1.05
LIMITS = {"Django": 1.06, "Flask": 5.1, "certbot": 2.7, "numpy, scipy": 1.6}


def measure(bench):
    shiv = applications.shiv(bench)
    header = [
        "MB",
        "haft",
        "program in front",
        "without compiled code",
        "zip with compiled code",
    ] + ["shiv", "haft / shiv"] * bool(shiv)
    rows = []
    for name, tree in applications.trees(bench).items():

        def megabytes(path):
            return os.path.getsize(path) / 1e6

        entry = ["-m", applications.ENTRY, "--name", "sized"]
        bundle = bench.build("sized", tree, *entry)
        plain = bench.build("sized-plain", tree, *entry, "--no-compile", "--no-profile")
        info = json.loads(bench.call(bench.haft, "info", "--json", bundle))
        copy = applications.compiled_copy(bench, tree)
        archive = bench.work / "sized.zip"
        bench.progress.show(f"size: {name} by others …")
        bench.call(PYTHON, "-m", "compileall", "-q", "-j", "0", copy)
        bench.call(PYTHON, "-m", "zipfile", "-c", archive, copy)
        sizes = {
            "haft": megabytes(bundle),
            "runtime": info["image_offset"] / 1e6,
            "plain": megabytes(plain),
            "zip": megabytes(archive),
        }
        row = [name, *sizes.values()]
        if shiv:
            pyz = bench.work / "sized.pyz"
            bench.call(*shiv, "--site-packages", tree, "-o", pyz)
            sizes["shiv"] = megabytes(pyz)
            ratio = sizes["haft"] / sizes["shiv"]
            row += [sizes["shiv"], ratio]
            if name in LIMITS:
                bench.verdict(f"{name}: size against shiv's file", ratio, LIMITS[name], "×", GOAL)
        rows.append(row)
        bench.results[f"size_{name}"] = {"mb": sizes}
    bench.progress.clear()
    table("Size (a zip with compiled code: python -m compileall, python -m zipfile)", header, rows)
