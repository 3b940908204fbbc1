#!/usr/bin/python3
"""Makes a pip-style site-packages tree out of installed Debian packages.

    tools/debian_tree.py certbot -o /tmp/certbot-tree

The named packages and the closure of their python3-* dependencies are copied file by file from
dpkg's own lists: what lies below /usr/lib/python3/dist-packages, with mode and modification time.
Symbolic links that stay inside the new tree are kept (made relative), links that leave it are
followed and their content copied. Nothing that dpkg does not list (byte code, other packages, local
installs) gets in, so the same packages always give the same tree.
"""

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys

ROOTS = ("/usr/lib/python3/dist-packages", "/usr/lib/python3.11/dist-packages")
# The interpreter itself: bundles run on the host's.
INTERPRETER = re.compile(r"(python3|python3(\.\d+)?-minimal|python3\.\d+|libpython3.*)$")


class TreeError(Exception):
    """One line for the user."""


class Packages:
    """The installed packages: their dependencies, and who provides which virtual name."""

    def __init__(self):
        fields = (
            "${db:Status-Status}",
            "${Package}",
            "${Pre-Depends}",
            "${Depends}",
            "${Provides}",
        )
        self.depends = {}
        self.providers: dict[str, list[str]] = {}
        for line in _dpkg("dpkg-query", "-W", "-f", "\\t".join(fields) + "\\n").splitlines():
            status, name, pre_depends, depends, provides = line.split("\t")
            if status != "installed":
                continue
            groups = f"{pre_depends},{depends}".split(",")
            self.depends[name] = [[_name(a) for a in g.split("|")] for g in groups if g.strip()]
            for virtual in provides.split(","):
                if virtual.strip():
                    self.providers.setdefault(_name(virtual), []).append(name)

    def resolve(self, name):
        """The installed package that is or provides `name`, or None."""
        if name in self.depends:
            return name
        return min(self.providers.get(name, []), default=None)

    def closure(self, names):
        """`names` and everything Python they need, sorted."""
        todo = []
        for name in names:
            package = self.resolve(name)
            if package is None:
                raise TreeError(f"package '{name}' is not installed; apt-get install {name}")
            todo.append(package)
        found = set()
        while todo:
            package = todo.pop()
            if package in found:
                continue
            found.add(package)
            for alternatives in self.depends[package]:
                # The first installed alternative is the one dpkg counts as satisfying the group.
                installed = next(filter(None, map(self.resolve, alternatives)), None)
                if installed and _is_python(installed):
                    todo.append(installed)
        return sorted(found)


def _name(dependency):
    """'python3-cffi:any (>= 1.4)' -> 'python3-cffi'."""
    return dependency.strip().split(" ", 1)[0].split("(", 1)[0].split(":", 1)[0]


def _is_python(package):
    return package.startswith("python3-") and not INTERPRETER.match(package)


def _dpkg(*command):
    try:
        done = subprocess.run(
            command, check=False, env={**os.environ, "LC_ALL": "C"}, text=True, capture_output=True
        )
    except FileNotFoundError:
        raise TreeError(f"{command[0]} not found; this needs a Debian system") from None
    if done.returncode:
        raise TreeError((done.stderr.strip() or f"{command[0]} failed").splitlines()[0])
    return done.stdout


def _inside(path):
    """`path` relative to the dist-packages directory it lies in, or None."""
    for root in ROOTS:
        if path.startswith(root + "/"):
            return path[len(root) + 1 :]
    return None


def listed_files(packages):
    """{path in the tree: path on the host} of all files, links and directories of `packages`."""
    files: dict[str, str] = {}
    for line in _dpkg("dpkg", "-L", *packages).splitlines():
        # Lines about diversions do not start with a slash.
        relative = _inside(line) if line.startswith("/") else None
        if relative and "__pycache__" not in relative.split("/") and os.path.lexists(line):
            files.setdefault(relative, line)
    return files


class Copier:
    def __init__(self, files, out):
        self.files = files
        self.out = out
        self.count = 0
        self.bytes = 0

    def copy_all(self):
        for relative, source in sorted(self.files.items()):
            self._copy(source, relative)
        self._date_directories()

    def _copy(self, source, relative):
        target = os.path.join(self.out, relative)
        kind = os.lstat(source).st_mode
        if stat.S_ISLNK(kind):
            kept = self._link_inside(source)
            if kept is not None:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.symlink(os.path.relpath(kept, os.path.dirname(relative)), target)
                self._utime(target, source)
                self.count += 1
                return
            source = os.path.realpath(source)
            if not os.path.exists(source):
                return  # it dangles on this host as well
            kind = os.stat(source).st_mode
        if stat.S_ISDIR(kind):
            os.makedirs(target, exist_ok=True)
            os.chmod(target, stat.S_IMODE(kind))
            if _inside(source) is None:  # reached through a link: dpkg does not list what is below
                for name in sorted(os.listdir(source)):
                    if name != "__pycache__":
                        self._copy(os.path.join(source, name), f"{relative}/{name}")
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)
        os.chmod(target, stat.S_IMODE(kind))
        self._utime(target, source)
        self.count += 1
        self.bytes += os.path.getsize(target)

    def _link_inside(self, link):
        """The tree path that `link` means, or None if that is outside the new tree."""
        target = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))
        relative = _inside(target)
        return relative if relative in self.files else None

    @staticmethod
    def _utime(target, source):
        times = os.lstat(source)
        os.utime(target, ns=(times.st_mtime_ns, times.st_mtime_ns), follow_symlinks=False)

    def _date_directories(self):
        """A directory is as old as the newest thing in it: the host's own times tell when it was
        installed."""
        for directory, _, _ in os.walk(self.out, topdown=False):
            times = [e.stat(follow_symlinks=False).st_mtime_ns for e in os.scandir(directory)]
            newest = max(times, default=0)
            os.utime(directory, ns=(newest, newest))


def make_tree(packages, out):
    """Fills the new or empty directory `out`. Returns (package names, files, bytes). Raises
    TreeError."""
    if os.path.lexists(out) and (not os.path.isdir(out) or os.listdir(out)):
        raise TreeError(f"output '{out}' exists; choose a new or an empty directory")
    closure = Packages().closure(packages)
    files = listed_files(closure)
    if not files:
        raise TreeError(f"no Python files in {', '.join(packages)}")
    os.makedirs(out, exist_ok=True)
    os.chmod(out, 0o755)
    copier = Copier(files, out)
    copier.copy_all()
    return closure, copier.count, copier.bytes


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="a new or empty directory"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing on success")
    arguments = parser.parse_args()
    try:
        closure, files, size = make_tree(arguments.packages, arguments.output)
    except (TreeError, OSError) as error:
        print(f"debian_tree: {error}", file=sys.stderr)
        return 1
    if not arguments.quiet:
        print(
            f"{arguments.output}: {files} files, {size / 1e6:.1f} MB of {len(closure)} packages: "
            f"{' '.join(closure)}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
