"""Site-packages trees and bundles, each built once per run and shared by all tests and workers."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

from support import limit, paths
from support.running import run

sys.path.insert(0, str(paths.REPO / "tools"))
import debian_tree

TREES = ("certbot", "python3-flask", "python3-django", "python3-numpy", "python3-cryptography")


@contextlib.contextmanager
def made_once(name):
    """The path of a cached thing, to be made if `path.exists()` is false; one maker at a time over
    all workers."""
    cache = paths.scratch() / "cache"
    cache.mkdir(exist_ok=True)
    with open(cache / f".{name}.lock", "w") as lock, limit.paused():
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache / name


def tree(package):
    """The site-packages tree of a Debian package with its closure. Read only: other tests
    use it too (run a Python on it with -B)."""
    with made_once(f"tree-{package}") as path:
        if not path.exists():
            new = path.with_suffix(".new")
            debian_tree.make_tree([package], new)
            new.rename(path)
        return path


def portable_tree(package):
    """tree(package) with the pytz of its upstream, which brings its time zones along; Debian's
    reads those of the host."""
    with made_once(f"portable-{package}") as path:
        if not path.exists():
            new = path.with_suffix(".new")
            shutil.copytree(tree(package), new, symlinks=True)
            for name in ("tzdata.zi", "zone1970.tab", "UTC"):
                os.makedirs(new / "pytz" / "zoneinfo", exist_ok=True)
                shutil.copy(f"/usr/share/zoneinfo/{name}", new / "pytz" / "zoneinfo" / name)
            module = new / "pytz" / "__init__.py"
            code = module.read_text()
            for name in ("tzdata.zi", "zone1970.tab"):
                assert f'"/usr/share/zoneinfo/{name}"' in code
                code = code.replace(
                    f'"/usr/share/zoneinfo/{name}"',
                    f'os.path.dirname(__file__) + "/zoneinfo/{name}"',
                )
            module.write_text(code)
            new.rename(path)
        return path


def write_tree(directory, files):
    """Writes {relative path: str, bytes, or None for a directory} below `directory`; returns it."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = directory / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


def haft(*arguments, check=True, **options):
    """Runs `haft ARGUMENTS…`; returns the CompletedProcess."""
    if not os.access(paths.HAFT, os.X_OK):
        raise AssertionError(f"no haft at {paths.HAFT}; build it or set HAFT")
    return run(
        [paths.HAFT, *arguments], check=check, timeout=options.pop("timeout", 180), **options
    )


def build(site_packages, *arguments, output, **options):
    """`haft build` of one or several trees to `output`; returns the path of the bundle."""
    if isinstance(site_packages, (str, os.PathLike)):
        site_packages = [site_packages]
    trees = [part for path in site_packages for part in ("--site-packages", os.fspath(path))]
    haft("build", *trees, *arguments, "-o", os.fspath(output), **options)
    return pathlib.Path(output)


def bundle(package, *arguments):
    """A cached bundle of a Debian package: bundle("certbot", "-c", "certbot").

    Its path ends in the package's name without python3-, which is the name of the mount too. Cached
    by package and arguments. Copy it before damaging it.
    """
    name = package.removeprefix("python3-")
    return cached_bundle(name, arguments, lambda: [tree(package)])


def portable_bundle(package, *arguments):
    """bundle() of a portable_tree(), interpreter included."""
    arguments = (*arguments, "--bundle-python")
    name = package.removeprefix("python3-")
    return cached_bundle(
        name, arguments, lambda: [portable_tree(package)], ("portable", name, *arguments)
    )


def app(name, files, *arguments):
    """A cached bundle of a tree written from {path: content}, for example
    app("hello", {"hello.py": "def main(): ..."}, "-e", "hello:main")."""
    key = (json.dumps({k: repr(v) for k, v in files.items()}, sort_keys=True), *arguments)

    def make_tree():
        with made_once(f"src-{name}-{_digest(key)}") as path:
            if not path.exists():
                new = path.with_suffix(".new")
                write_tree(new, files)
                new.rename(path)
            return [path]

    return cached_bundle(name, arguments, make_tree, key)


def _digest(key):
    return hashlib.sha256(repr(key).encode()).hexdigest()[:12]


def cached_bundle(name, arguments, make_trees, key=None):
    with made_once(f"app-{name}-{_digest(key or (name, *arguments))}") as directory:
        if not (directory / name).exists():
            directory.mkdir(exist_ok=True)
            build(make_trees(), "--name", name, *arguments, output=directory / name)
        return directory / name


def info(file):
    """`haft info --json` as a dictionary."""
    return json.loads(haft("info", "--json", file).stdout)


def plain_environment(site_packages, env):
    """`env` with the tree on PYTHONPATH: the same program from a plain directory, to compare
    with."""
    before = env.get("PYTHONPATH")
    return {**env, "PYTHONPATH": os.fspath(site_packages) + (f":{before}" if before else "")}


def disk_usage(directory):
    """Bytes of all files below a directory."""
    return int(subprocess.check_output(["du", "-sb", directory], text=True).split()[0])
