"""shiv as a judge: the commands of its documentation and its options, with `haft build` in place of
`shiv`. What they make does what is written here; and where shiv itself is at hand, what its own
file does, and `haft run` of that file too.

shiv is looked for as a module of the tests' Python, and in the directory that HAFT_SHIV names (src/
of a checkout).
"""

import os
import shlex
import shutil
import subprocess

import support
from support.tools import needs
from support.wheels import wheel

SECONDS = 50


def shiv():
    """The command of the real shiv and its environment, or None."""
    env = {"PYTHONPATH": os.environ["HAFT_SHIV"]} if os.environ.get("HAFT_SHIV") else {}
    found = support.run([support.PYTHON, "-m", "shiv", "--version"], env=support.clean_env(**env))
    return ([support.PYTHON, "-m", "shiv"], env) if found.returncode == 0 else None


SHIV = shiv()

HELLO = 'def main():\n    print("Hello world")\n\nif __name__ == "__main__":\n    main()\n'
SETUP = (
    "from setuptools import setup\n"
    'setup(name="hello-world", version="0.0.1", description="Greet the world.", '
    'py_modules=["hello"], entry_points={"console_scripts": ["hello=hello:main"]})\n'
)
FLAKE8 = """\
import sys
import mccabe

def main():
    if sys.argv[1:] == ["--version"]:
        print(f"3.7.8 (mccabe: {mccabe.VERSION})")
        return
    print("checking", sys.argv[1:])
    return len(sys.argv) - 1

def modules():
    print(*sorted(name for name in sys.modules if name in ("flake8", "mccabe")))
"""
CHILD = """\
import os, subprocess, sys

def main():
    sys.stdout.flush()
    sys.exit(subprocess.run([sys.executable, "-c", "import child; print('seen')"]).returncode)
"""
# A Django project as in shiv's guide, ending in a command that needs no port.
DJANGO_MAIN = """\
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

from django.core.management import call_command

call_command("check", *sys.argv[1:])
"""
DJANGO_SETTINGS = (
    "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth']\n"
    "DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n"
)


class Judge(support.TestCase):
    """A directory with all that the examples name: wheels in place of an index, a project, a filled
    dist/."""

    seconds = 180

    def setUp(self):
        self.dir = support.unique_dir("examples", 0o755)
        wheels = self.dir / "wheels"
        wheels.mkdir()
        wheel(wheels, "mccabe", "0.6.1", {"mccabe.py": "VERSION = '0.6.1'\n"})
        wheel(
            wheels,
            "flake8",
            "3.7.8",
            {"flake8/__init__.py": "", "flake8/__main__.py": FLAKE8},
            requires=["mccabe"],
            entry_points="[console_scripts]\nflake8 = flake8.__main__:main\n",
            scripts={"flake8-shell": "#!/bin/sh\necho shell $1\nexit 4\n"},
        )
        wheel(wheels, "boto", "2.49.0", {"boto/__init__.py": "__version__ = '2.49.0'\n"})
        support.write_tree(
            self.dir,
            {
                "requirements.txt": "boto==2.49.0\nflake8\n",
                "hello.py": HELLO,
                "setup.py": SETUP,
                "preamble.py": "#!/usr/bin/env python3\n"
                "print('preamble', type(archive).__name__, site_packages.is_dir(), "
                "sorted(n for n in ('build_id', 'entry_point', 'script') if hasattr(env, n)))\n",
                "preamble.sh": "#!/bin/sh\necho hello from preamble\n",
                "dist/hello_client.py": "from hello import main\n",
                "other/hello.py": HELLO,
                "dist/child.py": CHILD,
                "dist/main_returns.py": "def main():\n    return 7\n",
            },
        )
        for name in ("preamble.py", "preamble.sh"):
            (self.dir / name).chmod(0o755)

    def env(self, **more):
        """pip gets the wheels of the test and nothing else; shiv unpacks into a directory of the
        test."""
        return support.clean_env(
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(self.dir / "wheels"),
            PIP_CONFIG_FILE="/dev/null",
            PIP_NO_BUILD_ISOLATION="0",
            PIP_NO_CACHE_DIR="1",
            PIP_ROOT_USER_ACTION="ignore",
            HOME=str(self.dir),
            SHIV_ROOT=str(self.dir / "shiv-root"),
            **more,
        )

    def made_by(self, tool, line, check=True, **variables):
        """Runs `shiv LINE` or `haft build LINE`; returns the process."""
        words = shlex.split(line)
        env = self.env(**variables)
        if tool == "haft":
            return support.haft("build", *words, check=check, cwd=self.dir, env=env)
        command, more = SHIV
        return support.run(
            [*command, *words], check=check, cwd=self.dir, env={**env, **more}, timeout=120
        )

    def check(self, line, *runs, output, build_variables=None):
        """Builds with the line and runs what it makes: (arguments, expected stdout, status,
        {variable without prefix: value}, stdin) each. Where shiv is at hand its own file and `haft
        run` of it have to do the same."""
        programs = {}
        path = self.dir / output
        for tool in ("shiv", "haft") if SHIV else ("haft",):
            self.made_by(tool, line, **(build_variables or {}))
            programs[tool] = [self.dir / f"by-{tool}" / path.name]
            programs[tool][0].parent.mkdir(exist_ok=True)
            path.rename(programs[tool][0])
        if SHIV:
            programs["haft run"] = [support.HAFT, "run", *programs["shiv"]]
        for arguments, out, status, variables, stdin in runs:
            for tool, command in programs.items():
                named = {
                    ("SHIV_" if tool == "shiv" else "HAFT_") + name: value
                    for name, value in variables.items()
                }
                with self.clean():
                    done = support.run(
                        [*command, *shlex.split(arguments)], env=self.env(**named), input=stdin
                    )
                said = (
                    done.stdout.replace(">>> ", "") if tool == "shiv" else done.stdout
                )  # prompts, even to a pipe
                with self.subTest(tool=tool, arguments=arguments, variables=variables):
                    self.assertEqual((said, done.returncode), (out, status), done.stderr)
        return programs["haft"][0]


def ran(arguments="", out="", status=0, stdin=None, **variables):
    return arguments, out, status, variables, stdin


@needs("pip")
class TestDocumentation(Judge):
    def test_simple_cli_example(self):
        (self.dir / "bin").mkdir()
        self.check(
            "-c flake8 -o bin/flake8 flake8",
            ran("--version", "3.7.8 (mccabe: 0.6.1)\n"),
            ran("a b", "checking ['a', 'b']\n", 2),
            output="bin/flake8",
        )

    def test_interactive_executable_with_a_library(self):
        self.check(
            "-o boto.pyz boto",
            ran(out="2.49.0\n", stdin="import boto\nprint(boto.__version__)\n"),
            ran("-c 'import boto; print(boto.__version__)'", "2.49.0\n"),
            output="boto.pyz",
        )

    def test_script_that_names_the_executable(self):
        bundle = self.check("boto -o boto.pyz --quiet", output="boto.pyz")
        script = self.dir / "tryme.py"
        script.write_text(
            "#!/usr/bin/env boto.pyz\n\nimport boto, sys\n"
            "print('Got', boto.__version__, sys.argv[1:])\n"
        )
        script.chmod(0o755)
        with self.clean():
            done = support.run([script, "x"], env=self.env(PATH=f"{bundle.parent}:/usr/bin:/bin"))
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("Got 2.49.0 ['x']\n", "", 0))

    def test_hello_world_project(self):
        self.check("-c hello -o hello .", ran(out="Hello world\n"), output="hello")

    def test_django_guide(self):
        """The build script of the guide: a directory filled beforehand, an entry that is a
        module."""
        support.write_tree(
            self.dir / "shop-dist",
            {
                "shop/__init__.py": "",
                "shop/main.py": DJANGO_MAIN,
                "shop/settings.py": DJANGO_SETTINGS,
            },
        )
        self.made_by(
            "haft",
            f"--site-packages {support.tree('python3-django')} --site-packages shop-dist "
            f"--compressed "
            "-p '/usr/bin/env python3' -o shop.pyz -e shop.main",
        )
        with self.clean():
            done = support.run([self.dir / "shop.pyz"], env=self.env())
        self.assertEqual(
            (done.stdout, done.stderr, done.returncode),
            ("System check identified no issues (0 silenced).\n", "", 0),
        )

    def test_shiv_of_shiv(self):
        """shiv -c shiv -o shiv shiv, as its README does; and the bundled shiv builds."""
        if SHIV is None:
            self.skipTest("no shiv (HAFT_SHIV names the src directory of a checkout)")
        source = support.unique_dir("shiv-site", 0o755)
        place = (
            os.environ.get("HAFT_SHIV")
            or subprocess.check_output(
                [
                    support.PYTHON,
                    "-c",
                    "import os, shiv; print(os.path.dirname(os.path.dirname(shiv.__file__)))",
                ],
                text=True,
            ).strip()
        )
        shutil.copytree(
            f"{place}/shiv", source / "shiv", ignore=shutil.ignore_patterns("__pycache__")
        )
        support.write_tree(
            source,
            {
                "shiv-1.dist-info/entry_points.txt": "[console_scripts]\nshiv = shiv.cli:main\n",
                "shiv-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: shiv\nVersion: 1\n",
            },
        )
        self.made_by("haft", f"-c shiv -o shiv --site-packages {source}")
        with self.clean():
            support.run(
                [self.dir / "shiv", "-c", "flake8", "-o", "flake8.pyz", "flake8"],
                env=self.env(),
                cwd=self.dir,
                check=True,
            )
            self.assertEqual(
                support.run(
                    [self.dir / "flake8.pyz", "--version"], env=self.env(), check=True
                ).stdout,
                "3.7.8 (mccabe: 0.6.1)\n",
            )


@needs("pip")
class TestOptions(Judge):
    @support.parametrised(
        line=[
            "--entry-point flake8.__main__:main --console-script flake8",
            "-c flake8 -r requirements.txt",
            "-c flake8 --no-modify --reproducible --compile-pyc -E --root '$HOME/r'",
            "-c flake8 --build-id abc --uncompressed --upgrade --no-deps mccabe",
            "-c flake8 --compressed -p '/usr/bin/python3 -sE'",
        ]
    )
    def test_line(self, line):
        self.check(
            f"{line} -o flake8.pyz flake8",
            ran("--version", "3.7.8 (mccabe: 0.6.1)\n"),
            ran("x", "checking ['x']\n", 1),
            output="flake8.pyz",
        )

    def test_several_site_packages(self):
        self.check(
            "-e hello_client:main -o h.pyz --site-packages dist --site-packages other",
            ran(out="Hello world\n"),
            output="h.pyz",
        )

    def test_site_packages_and_pip_together(self):
        self.check(
            "-e hello_client:main -o h.pyz --site-packages dist --site-packages other boto",
            ran(out="Hello world\n"),
            ran(out="2.49.0\n", stdin="import boto; print(boto.__version__)", INTERPRETER="1"),
            output="h.pyz",
        )

    def test_return_value_is_the_status(self):
        self.check(
            "-e main_returns:main -o m.pyz --site-packages dist", ran(status=7), output="m.pyz"
        )

    def test_children_see_the_packages(self):
        """-E of shiv; with haft always so."""
        self.check(
            "-E -e child:main -o c.pyz --site-packages dist", ran(out="seen\n"), output="c.pyz"
        )
        self.made_by("haft", "-e child:main -o c.pyz --site-packages dist")
        self.assertEqual(support.run([self.dir / "c.pyz"], check=True).stdout, "seen\n")

    def test_preamble(self):
        self.check(
            "-e hello:main --preamble preamble.sh -o p.pyz .",
            ran(out="hello from preamble\nHello world\n"),
            output="p.pyz",
        )
        self.check(
            "-e hello:main --preamble preamble.py -o p.pyz --site-packages other",
            ran(out="preamble str True ['build_id', 'entry_point', 'script']\nHello world\n"),
            output="p.pyz",
        )

    def test_script_of_a_wheel(self):
        """In shiv's file scripts run through Python only; so this is haft's alone."""
        self.made_by("haft", "-c flake8-shell -o s.pyz flake8")
        done = support.run([self.dir / "s.pyz", "x"])
        self.assertEqual((done.stdout, done.returncode), ("shell x\n", 4))

    def test_same_bytes(self):
        for name in ("one", "two"):
            (self.dir / name).mkdir()
            self.made_by(
                "haft",
                f"-e hello:main -o {name}/x.pyz --reproducible --no-modify .",
                SOURCE_DATE_EPOCH="1234567890",
            )
        self.assertEqual(
            (self.dir / "one/x.pyz").read_bytes(), (self.dir / "two/x.pyz").read_bytes()
        )

    @support.parametrised(
        line=[
            "-o tmp --target x",
            "-o tmp --editable .",
            "-o tmp --download x",
            "-o tmp --user flake8",
            "-o tmp --prefix x flake8",
            "",
            "-e test flake8",
            "-c nothing -o tmp flake8",
        ]
    )
    def test_refused(self, line):
        """What shiv refuses, and nothing is written."""
        before = sorted(os.listdir(self.dir))
        for tool in ("shiv", "haft") if SHIV else ("haft",):
            done = self.made_by(tool, line, check=False)
            self.assertNotEqual(done.returncode, 0, tool)
            self.assertTrue(done.stderr + done.stdout)
            self.assertNotRegex(done.stderr, "Traceback" if tool == "haft" else "^$")
            self.assertEqual(sorted(os.listdir(self.dir)), before, tool)


@needs("pip")
class TestVariables(Judge):
    def test_interpreter(self):
        self.check(
            "-c flake8 -o f.pyz flake8",
            ran(
                "-c 'import mccabe, sys; print(mccabe.VERSION, sys.argv)' a",
                "0.6.1 ['-c', 'a']\n",
                INTERPRETER="1",
            ),
            ran(
                out="3.7.8 (mccabe: 0.6.1)\n",
                stdin="import sys; sys.argv = ['x', '--version']\n"
                "from flake8.__main__ import main; main()\n",
                INTERPRETER="yes",
            ),
            output="f.pyz",
        )

    def test_entry_point(self):
        self.check(
            "-c flake8 -o f.pyz flake8",
            ran(out="flake8 mccabe\n", ENTRY_POINT="flake8.__main__:modules"),
            output="f.pyz",
        )

    def test_console_script(self):
        """shiv's variable looks into bin/ only; haft's names console scripts as well."""
        self.made_by("haft", "-e flake8.__main__:modules -o f.pyz flake8")
        for script, out, status in (
            ("flake8", "checking ['x']\n", 1),
            ("flake8-shell", "shell x\n", 4),
        ):
            with self.clean():
                done = support.run([self.dir / "f.pyz", "x"], env=self.env(HAFT_SCRIPT=script))
            self.assertEqual((done.stdout, done.returncode), (out, status), done.stderr)

    def test_nothing_is_unpacked(self):
        """SHIV_ROOT, SHIV_FORCE_EXTRACT and the rest mean nothing to a bundle: nothing is unpacked
        anywhere."""
        self.made_by("haft", "-c flake8 -o f.pyz flake8")
        before = sorted(os.listdir(self.dir))
        with self.clean():
            done = support.run(
                [self.dir / "f.pyz", "--version"],
                cwd=self.dir,
                env=self.env(SHIV_FORCE_EXTRACT="1", SHIV_COMPILE_PYC="1", SHIV_INTERPRETER="1"),
            )
        self.assertEqual((done.stdout, done.returncode), ("3.7.8 (mccabe: 0.6.1)\n", 0))
        self.assertEqual(sorted(os.listdir(self.dir)), before)
