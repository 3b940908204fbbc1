"""The same program from a plain directory: what every scenario is compared with.

A plain directory is an ordinary installation as pip makes it: a virtual environment that sees the
host's packages, the trees copied into its site-packages, the entry as a script in bin/. There
site.addsitedir puts the directory behind the standard library and before the host's packages and
processes its .pth files, in the program and in every child; nothing of haft takes part.

    both = support.Both("app", FILES, "-e", "app:main")

    class TestIt(support.ScenarioCase):
        def test_it(self, mode):
            said = self.same(both, "x y", mode=mode)      # runs both, compares, returns stdout
"""

import importlib.metadata
import os
import re
import subprocess

from support import case, paths, running, trees

__unittest = True  # keeps the frames of this file out of tracebacks

_FUNCTION = """\
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({function}())
"""
_MODULE = """\
import os, sys
os.execv(sys.executable, [sys.executable, "-m", "{module}", *sys.argv[1:]])
"""

_STARTERS = re.compile(r'^  File "(PROGRAM|BIN/[^/"]+)", line .*\n(    .*\n)*', re.M)

# The program of most scenarios: runs the Python code in its first argument.
PROBE = {
    "probe.py": """\
import os
import sys


def main():
    exec(compile(sys.argv.pop(1), "<probe>", "exec"),
        {"__name__": "probe_code", "os": os, "sys": sys})
"""
}


def _script(site, entry, python):
    """The script that pip would write for this entry."""
    kind, target = entry[:2]
    if kind == "-c":
        points = [
            point
            for dist in importlib.metadata.distributions(path=[os.fspath(site)])
            for point in dist.entry_points
            if point.group == "console_scripts" and point.name == target
        ]
        target = f"{points[0].module}:{points[0].attr}"
    module, _, function = target.partition(":")
    form = _MODULE if kind == "-m" else _FUNCTION
    return f"#!{python}\n" + form.format(
        module=module, function=function, first=function.partition(".")[0]
    )


def _install_scripts(site, directory, python):
    """Copies the files of the tree's bin/ with their first lines changed, as pip does with a
    wheel's scripts."""
    for source in (site / "bin").iterdir() if (site / "bin").is_dir() else ():
        content = source.read_bytes()
        first, _, rest = content.partition(b"\n")
        target = directory / source.name
        target.write_bytes(
            f"#!{python}\n".encode() + rest if re.match(rb"#!.*python", first) else content
        )
        target.chmod(0o755)


class Both:
    """One program as a bundle and as an installation; both are made when first asked for."""

    def __init__(self, name, parts, *entry):
        """`parts`: {path: content}, the name of a Debian package, a directory, or a list of these.
        `entry`: options of haft build; with --isolated the installation does not see the host's
        packages either."""
        self.name = name
        self.entry = entry
        self._parts = parts if isinstance(parts, list) else [parts]
        self._made = None

    def _make(self):
        if self._made is None:
            directory = paths.unique_dir(f"both-{self.name}")
            sources = [
                self._source(part, directory / f"tree-{i}") for i, part in enumerate(self._parts)
            ]
            bundle = trees.build(
                sources, *self.entry, "--name", self.name, output=directory / self.name
            )
            self._made = bundle, self._install(directory / "plain", sources)
        return self._made

    @staticmethod
    def _source(part, directory):
        if isinstance(part, dict):
            return trees.write_tree(directory, part)
        return trees.tree(part) if isinstance(part, str) else part

    def _install(self, prefix, sources):
        """A virtual environment, made by hand: three files, no pip."""
        version = subprocess.check_output(
            [paths.PYTHON, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"],
            text=True,
        ).strip()
        site = prefix / "lib" / version / "site-packages"
        site.mkdir(parents=True)
        (prefix / "bin").mkdir()
        (prefix / "bin" / "python3").symlink_to(paths.PYTHON)
        host = "false" if "--isolated" in self.entry else "true"
        (prefix / "pyvenv.cfg").write_text(
            f"home = {os.path.dirname(paths.PYTHON)}\ninclude-system-site-packages = {host}\n"
        )
        for source in sources:
            subprocess.run(["cp", "-a", "--no-preserve=ownership", f"{source}/.", site], check=True)
        python = prefix / "bin" / "python3"
        _install_scripts(site, prefix / "bin", python)
        if self.entry[0] == "-c" and (site / "bin" / self.entry[1]).exists():
            return prefix / "bin" / self.entry[1]
        script = prefix / "bin" / self.name
        script.write_text(_script(site, self.entry, python))
        script.chmod(0o755)
        return script

    @property
    def bundle(self):
        """The path of the bundle."""
        return self._make()[0]

    @property
    def plain(self):
        """The path of the installed script."""
        return self._make()[1]

    def normal(self, text):
        """The text with the paths that have to differ replaced: of the files, the program, the
        interpreter. And tracebacks without their outermost frame, which belongs to the script."""
        if not isinstance(text, str):
            return text
        prefix = self.plain.parent.parent
        (site,) = prefix.glob("lib/*/site-packages")
        mount = f"/run/haft/{self.name}/site-packages"
        for path, word in (
            (f"{prefix}/bin/python3", "PYTHON"),
            (f"{prefix}/bin/{self.name}", "PROGRAM"),
            (f"{prefix}/bin", "BIN"),
            (f"/run/haft/{self.name}/bin/{self.name}", "PROGRAM"),
            (f"/run/haft/{self.name}/.haft/bin/{self.name}", "PROGRAM"),
            (f"/run/haft/{self.name}/bin", "BIN"),
            (f"/run/haft/{self.name}/.haft/bin", "BIN"),
            (f"{mount}/bin", "BIN"),
            (os.fspath(site), "SITE"),
            (mount, "SITE"),
            (os.fspath(self.bundle), "PROGRAM"),
            (paths.PYTHON, "PYTHON"),
        ):
            text = text.replace(path, word)
        return _STARTERS.sub("", text)

    def outcome(self, done):
        """(stdout, stderr, status), comparable."""
        return self.normal(done.stdout), self.normal(done.stderr), done.returncode


class ScenarioCase(case.TestCase):
    """Tests that compare a bundle with a plain directory."""

    def same(self, both, *arguments, mode=None, status=0, plain=None, **options):
        """Runs both programs; stdout, stderr and status have to be the same but for paths, the
        status as said, and everything of the bundle gone. Returns the standard output, paths as of
        Both.normal.

        `plain`: options for the plain program where they differ. mode, cwd, env …: see support.run.
        """
        with self.clean():
            ours = both.outcome(running.run([both.bundle, *arguments], mode=mode, **options))
        theirs = both.outcome(
            running.run([both.plain, *arguments], mode=mode, **{**options, **(plain or {})})
        )
        self.assertEqual(
            ours, theirs, "the bundle (first) differs from the plain directory (second)"
        )
        self.assertEqual(ours[2], status, ours)
        return ours[0]
