"""Real applications as trees of packages, each with a module `bench_entry` that does what a start
of it does, and as wheels."""

import base64
import hashlib
import shutil
import zipfile

import debian_tree
from benchmarks import files
from benchmarks.bench import BenchError

# Name: Debian's packages, the entry.
APPLICATIONS = {
    "Django": (
        ["python3-django"],
        "import django.core.management, django.db.models, django.http, django.template, "
        "django.contrib.admin\n",
    ),
    "Flask": (["python3-flask"], "import flask\nflask.Flask('bench')\n"),
    "certbot": (["python3-certbot"], "import certbot.main\n"),
    "numpy, scipy": (
        ["python3-scipy"],
        "import numpy, scipy.linalg, scipy.sparse, scipy.stats, scipy.optimize\n",
    ),
}
ENTRY = "bench_entry"


def trees(bench):
    """{name: directory}. --quick: one of a few small files."""
    if bench.options.quick:
        return {"small": files.make_files(bench, 300)}
    found = {}
    for name, (packages, entry) in APPLICATIONS.items():
        tree = bench.work / ("tree-" + packages[0])
        if not tree.exists():
            bench.progress.show(f"copying the packages of {name} …")
            try:
                debian_tree.make_tree(packages, tree)
            except debian_tree.TreeError as error:
                shutil.rmtree(tree, ignore_errors=True)
                bench.left_out(f"{name}: {error}")
                continue
            (tree / f"{ENTRY}.py").write_text(entry)
        found[name] = tree
    return found


def wheel(tree, directory):
    """All packages of a tree as one wheel, without the metadata of each. Returns the name that pip
    knows it by."""
    name = tree.name.replace("-", "_")
    path = directory / f"{name}-1-py3-none-any.whl"
    if path.exists():
        return name
    info = f"{name}-1.dist-info"
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(member, data):
            archive.writestr(member, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{member},sha256={digest},{len(data)}\n")

        for file in sorted(tree.rglob("*")):
            place = file.relative_to(tree)
            if (
                file.is_file()
                and not place.parts[0].endswith((".dist-info", ".egg-info"))
                and file.suffix != ".pyc"
            ):
                put(str(place), file.read_bytes())
        put(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n".encode())
        put(
            f"{info}/WHEEL",
            b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")
    return name


def compiled_copy(bench, tree):
    """A copy of a tree, for others to compile in."""
    copy = bench.work / (tree.name + "-compiled")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tree, copy, symlinks=True)
    return copy


def shiv(bench):
    """The words that start shiv; none, and that is said, where it is not."""
    words = bench.options.shiv.split() if bench.options.shiv else ["shiv"]
    if shutil.which(words[0], path=bench.env["PATH"]):
        return words
    if bench.options.shiv:
        raise BenchError(f"--shiv: {words[0]}: not found")
    bench.left_out("shiv: not found; pip install shiv, or --shiv COMMAND")
    return []
