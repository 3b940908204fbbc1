"""The demo: a small distribution with everything an archive can hold, in every layout."""

import glob
import os
import pathlib

from support import archives

REPORT = '''\
"""Tells what a program can observe, as JSON."""
import importlib.metadata
import importlib.resources
import json
import multiprocessing
import os
import pkgutil
import subprocess
import sys


def double(x):
    return 2 * x


def main():
    import demo
    import demo._bz2  # an extension module
    import vendored
    child = subprocess.run([sys.executable, "-c",
        "import demo, vendored; print(demo.__file__, vendored.__file__)"],
                           capture_output=True, text=True)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        doubled = pool.map(double, [1, 2, 3])
    print(json.dumps({
        "arguments": sys.argv[1:],
        "file": demo.__file__,
        "data": importlib.resources.files("demo").joinpath("data/text.txt").read_text(),
        "pkgutil": len(pkgutil.get_data("demo", "data/big.bin")),
        "version": importlib.metadata.version("demo"),
        "scripts": sorted(e.name for e in importlib.metadata.distribution("demo").entry_points),
        "child": child.stdout + child.stderr,
        "doubled": doubled,
        "extension": demo._bz2.__file__,
        "pth": sys.modules.get("vendored").__file__,
        "mode": oct(os.stat(os.path.join(os.path.dirname(demo.__file__), "data/text.txt")).st_mode),
    }))
    return 3


def code():
    """Runs the code in the first argument; its `result` is the return value."""
    space = {"os": os, "sys": sys}
    exec(sys.argv[1], space)
    return space.get("result")


def other():
    print("other", sys.argv[1:], sorted(n for n in os.environ
        if n.startswith(("SHIV_", "PEX_", "HAFT_")) and n != "HAFT_INDEX"))


if __name__ == "__main__":
    sys.exit(main())
'''
ENTRY_POINTS = (
    "[console_scripts]\ndemo = demo.cli:main\nDemo-Other = demo.cli:other [extra]\n"
    "demo-code = demo.cli:code\n"
)


def demo_files():
    extension = glob.glob("/usr/lib/python3.11/lib-dynload/_bz2.*.so")[0]
    return {
        "demo/__init__.py": "",
        "demo/cli.py": REPORT,
        "demo/data/text.txt": "text\n",
        "demo/data/big.bin": bytes(range(256)) * 3000,
        f"demo/{os.path.basename(extension)}": pathlib.Path(extension).read_bytes(),
        "demo-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.5\n",
        "demo-1.5.dist-info/entry_points.txt": ENTRY_POINTS,
        "demo-1.5.dist-info/RECORD": "",
        "bin/tool": (
            "#!/usr/bin/python3\nimport sys, demo\nprint('tool', sys.argv[1:], __name__)\n",
            0o755,
        ),
        "bin/tool.sh": ('#!/bin/sh\necho "shell $*"\nexit 5\n', 0o755),
    }


VENDORED = {
    "vendored/__init__.py": "",
    "vendored-2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: vendored\nVersion: 2.0\n",
    "vendored-2.0.dist-info/RECORD": "",
}
WHEEL = "demo-1.5-py3-none-any.whl"
# The packages' place in the mount, by layout.
PLACES = {
    "shiv": "site-packages",
    "shiv-script": "site-packages",
    "pex": f".deps/{WHEEL}",
    "pex-module": f".deps/{WHEEL}",
    "zipapp": "",
    "stored": "",
    "wheel": "",
}


def make(layout, directory):
    """An archive of the demo in a layout; the program is main() of demo.cli, except for
    shiv-script."""
    files = demo_files()
    both = {**files, **VENDORED}
    deps = {WHEEL: files, "vendored-2.0-py3-none-any.whl": VENDORED}
    main = (
        "import sys\nfrom demo.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    )
    return {
        "shiv": lambda: archives.shiv(directory / "demo.pyz", both, entry_point="demo.cli:main"),
        "shiv-script": lambda: archives.shiv(directory / "demo.pyz", both, script="tool"),
        "pex": lambda: archives.pex(directory / "demo.pex", {}, deps, info={"script": "demo"}),
        "pex-module": lambda: archives.pex(
            directory / "demo.pex", {}, deps, info={"entry_point": "demo.cli"}
        ),
        "zipapp": lambda: archives.zipapp(directory / "demo.pyz", {**both, "__main__.py": main}),
        "stored": lambda: archives.zipapp(
            directory / "demo.pyz", {**both, "__main__.py": main}, compressed=False
        ),
        "wheel": lambda: archives.write_zip(
            directory / WHEEL, {**both, "demo-1.5.dist-info/WHEEL": ""}, mode=0o644
        ),
    }[layout]()


def contents(directory):
    return sorted(
        (str(path), path.lstat().st_mtime_ns) for path in pathlib.Path(directory).rglob("*")
    )
