"""Which Pythons among a program's children get the bundle's packages."""

import glob
import os
import subprocess

import support

SECONDS = 20

TOOL = {
    "dep.py": "WHERE = 'bundle'\n",
    "tool.py": """\
import os, subprocess, sys

def main():
    code = "import sys, dep; print(dep.WHERE, [p for p in sys.path if p.startswith('/run/haft')])"
    python = sys.argv[1] or sys.executable
    ran = subprocess.run([python, "-c", code], capture_output=True, text=True)
    print(ran.stdout, ran.stderr, sep="", end="")
""",
}


def environment():
    """The interpreter of a new virtual environment, with a package of its own."""
    directory = support.unique_dir(mode=0o755)
    subprocess.run([support.PYTHON, "-m", "venv", "--without-pip", directory], check=True)
    (site,) = directory.glob("lib/*/site-packages")
    (site / "dep.py").write_text("WHERE = 'environment'\n")
    return str(directory / "bin" / "python3")


class TestChildren(support.TestCase):
    def says(self, interpreter, mode, *options):
        bundle = support.app("tool", TOOL, "-e", "tool:main", *options)
        with self.clean():
            done = support.run([bundle, interpreter], mode=mode, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def test_same_python_gets_them(self, mode):
        self.assertEqual(self.says("", mode), "bundle ['/run/haft/tool/site-packages']\n")

    @support.parametrised(options=["", "--isolated"])
    def test_environment_that_the_program_made_has_its_own_only(self, options, mode):
        said = self.says(environment(), mode, *options.split())
        self.assertEqual(said, "environment []\n")

    def test_other_version_gets_none_and_reports_nothing(self):
        others = [
            path
            for version in ("2.7", "3.6", "3.9", "3.13")
            for path in glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python"))
        ]
        if not others:
            self.skipTest("needs another Python")
        for other in others:
            with self.subTest(python=other):
                said = self.says(other, support.MODES[0])
                self.assertRegex(
                    said.splitlines()[-1], "^(ImportError|ModuleNotFoundError): No mod"
                )
                self.assertNotRegex(said, "sitecustomize|_haft")

    def test_python_asked_for_gets_them_even_if_it_is_an_environment(self, mode):
        bundle = support.app("tool", TOOL, "-e", "tool:main")
        env = support.clean_env(HAFT_PYTHON=environment(), HAFT_INTERPRETER="1")
        with self.clean():
            done = support.run(
                [bundle, "-c", "import tool; print(tool.__name__)"], mode=mode, env=env
            )
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("tool\n", "", 0))
