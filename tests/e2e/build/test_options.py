"""haft build with the options of shiv and pex: packages by pip, preamble, injected arguments and
variables, isolation, multi-call, pyproject.toml. And builders that fail or are killed while pip
works."""

import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
import unittest

import support
from support.wheels import wheel

SECONDS = 40
HAVE_PIP = (
    subprocess.run(
        [support.PYTHON, "-m", "pip", "--version"], check=False, capture_output=True
    ).returncode
    == 0
)

TOOL = """\
import os, sys
import dep

def main():
    print("tool", dep.NAME, sys.argv[1:])

def show():
    print({name: value for name, value in os.environ.items() if name.startswith("TEST_")},
        sys.argv[1:], sys.flags.optimize)

def code():
    exec(sys.argv[1])
"""


class OptionCase(support.TestCase):
    def setUp(self):
        self.dir = support.unique_dir()
        self.out = support.unique_dir("out")
        self.temporary = support.unique_dir("tmp")

    def env(self, **more):
        """Pip sees only what the test gives it."""
        return support.clean_env(
            TMPDIR=str(self.temporary),
            PIP_NO_INDEX="1",
            PIP_CONFIG_FILE="/dev/null",
            HOME=str(self.temporary),
            PIP_NO_CACHE_DIR="1",
            PIP_ROOT_USER_ACTION="ignore",
            **more,
        )

    def haft(self, *arguments, check=True, **options):
        env = options.pop("env", None) or self.env()
        return support.haft(
            "build", *arguments, check=check, env=env, **{"cwd": self.dir, **options}
        )

    def says(self, out, *command, status=0, **variables):
        with self.clean():
            done = support.run(command, env=support.clean_env(**variables))
        self.assertEqual((done.stdout, done.stderr, done.returncode), (out, "", status))


def make_wheels(directory):
    directory.mkdir(exist_ok=True)
    wheel(directory, "dep", "2.0", {"dep.py": "NAME = 'dep'\n"})
    wheel(
        directory,
        "tool",
        "1.0",
        {"tool.py": TOOL},
        requires=["dep"],
        scripts={"hello.sh": "#!/bin/sh\necho hello $1\n"},
        entry_points="[console_scripts]\ntool = tool:main\nTool-Show = tool:show [extra]\n"
        "tool-code = tool:code\n",
    )
    return directory


@unittest.skipUnless(HAVE_PIP, "needs python3-pip")
class TestPip(OptionCase):
    seconds = 400 if support.LONG else 90

    def setUp(self):
        super().setUp()
        self.wheels = make_wheels(self.dir / "wheels")

    def assert_nothing_left(self):
        support.wait_until(lambda: not os.listdir(self.temporary), 3)
        self.assertEqual(os.listdir(self.temporary), [])

    @support.parametrised(
        how=[
            "tool --find-links wheels --no-index",
            "-- --no-index --find-links wheels tool",
            "wheels/tool-1.0-py3-none-any.whl -f wheels",
        ]
    )
    def test_packages(self, how):
        """Behind -- or, as with shiv, without."""
        done = self.haft("-o", self.out / "x", "-c", "tool", *how.split())
        self.assertIn("Successfully installed", done.stdout)  # pip's own words
        self.says("tool dep ['a']\n", self.out / "x", "a")
        self.assert_nothing_left()

    def test_with_site_packages(self):
        site = support.write_tree(
            self.dir / "site", {"more.py": "import tool, dep\ndef main(): print(dep.NAME)\n"}
        )
        self.haft(
            "-o", self.out / "x", "--site-packages", site, "-e", "more:main", "-f", "wheels", "tool"
        )
        self.says("dep\n", self.out / "x")

    def test_script_of_a_wheel(self):
        self.haft("-o", self.out / "x", "-c", "hello.sh", "-f", "wheels", "tool")
        self.says("hello you\n", self.out / "x", "you")

    def test_same_bytes(self):
        """Whenever, wherever and with whatever umask: pip's times, direct_url.json and modes do not
        show."""
        other = support.unique_dir("elsewhere")
        shutil.copytree(self.wheels, other / "wheels")
        for number, (cwd, umask) in enumerate(((self.dir, 0o022), (other, 0o077))):
            self.haft(
                "-o",
                self.out / f"x{number}",
                "--name",
                "x",
                "-c",
                "tool",
                "-f",
                "wheels",
                "wheels/tool-1.0-py3-none-any.whl",
                cwd=cwd,
                preexec_fn=lambda: os.umask(umask),
            )
            time.sleep(1.1)
        first, second = ((self.out / f"x{number}").read_bytes() for number in (0, 1))
        self.assertTrue(first == second, "two builds differ")
        names = support.haft("ls", "-R", self.out / "x0").stdout
        self.assertNotIn("direct_url.json", names)
        self.assertNotIn(
            "direct_url",
            support.haft("cat", self.out / "x0", "site-packages/tool-1.0.dist-info/RECORD").stdout,
        )

    def test_metadata_is_whole(self):
        self.haft("-o", self.out / "x", "-c", "tool-code", "-f", "wheels", "tool")
        code = (
            "import importlib.metadata as m; d = m.distribution('tool'); print(d.version, "
            "m.requires('tool'))\n"
            "print(all(f.locate().exists() for f in d.files if not str(f).startswith('..')))"
        )
        self.says("1.0 ['dep']\nTrue\n", self.out / "x", code)

    def test_failure(self):
        """pip says why; we say that it did; the old output stays, and nothing else."""
        (self.out / "x").write_text("old")
        done = self.haft(
            "-o", self.out / "x", "-c", "tool", "-f", "wheels", "no-such-package", check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("No matching distribution found for no-such-package", done.stderr)
        last = done.stderr.splitlines()[-1]
        self.assertRegex(last, r"^haft: pip: exit status 1; ")
        self.assertEqual((os.listdir(self.out), (self.out / "x").read_text()), (["x"], "old"))
        self.assert_nothing_left()

    def test_console_script_of_no_package(self):
        done = self.haft("-o", self.out / "x", "-c", "tol", "-f", "wheels", "tool", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, "'tol'", "did you mean 'tool'?")
        self.assertEqual(os.listdir(self.out), [])
        self.assert_nothing_left()

    @support.parametrised(
        word=["-t", "--target=x", "--editable", "--user", "--prefix", "-d", "--download=x"]
    )
    def test_refused(self, word):
        """What shiv refuses, before pip runs."""
        done = self.haft("-o", self.out / "x", "--", "tool", word, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertOneLine(done.stderr, f"'{word}'")

    def test_pip_of_the_working_directory_is_not_run(self):
        (self.dir / "pip.py").write_text("raise SystemExit('not pip')")
        self.haft("-o", self.out / "x", "-c", "tool", "-f", "wheels", "tool")
        self.says("tool dep []\n", self.out / "x")

    def test_variables_that_send_packages_elsewhere(self):
        self.haft(
            "-o",
            self.out / "x",
            "-c",
            "tool",
            "-f",
            "wheels",
            "tool",
            env=self.env(
                PIP_TARGET="/no", PIP_USER="1", PIP_PREFIX="/no", PIP_REQUIRE_VIRTUALENV="1"
            ),
        )
        self.says("tool dep []\n", self.out / "x")

    def test_no_pip(self):
        python = self.dir / "python"
        python.write_text(
            "#!/bin/sh\nfor a; do case $a in *runpy*|*find_spec*) exec /usr/bin/python3 -S "
            '"$@";; esac; done\n'
            'exec /usr/bin/python3 "$@"\n'
        )
        python.chmod(0o755)
        done = self.haft("-o", self.out / "x", "-p", python, "tool", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("has no pip", done.stderr.splitlines()[-1])

    @support.parametrised(name=["SIGTERM", "SIGINT", "SIGHUP"])
    def test_signal_while_pip_works(self, name):
        """Ends by that signal, pip with it, and takes everything with it."""
        process = self.slow_build()
        os.kill(process.pid, getattr(signal, name))
        process.communicate(timeout=10)
        self.assertEqual(process.returncode, -getattr(signal, name))
        self.assertEqual(os.listdir(self.out), [])
        self.assert_nothing_left()
        self.assertFalse(self.processes(), "pip goes on")

    def slow_build(self):
        """A build whose pip hangs (it waits for a named pipe); returns when pip is there."""
        os.mkfifo(self.dir / "requirements.txt")
        process = support.start(
            [support.HAFT, "build", "-o", self.out / "x", "-c", "tool", "-r", "requirements.txt"],
            env=self.env(),
            cwd=self.dir,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.assertTrue(support.wait_until(self.processes, 10), "pip never came")
        return process

    def processes(self):
        """pip's processes of this test: they have our TMPDIR."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if (
                f"TMPDIR={self.temporary}/haft-build-".encode() in environment
                and b"runpy" in command
            ):
                found.append(int(pid))
        return found

    def test_killed_while_pip_works(self):
        """kill -9: pip dies with haft; the next build removes what they left."""
        process = self.slow_build()
        process.kill()
        process.communicate(timeout=10)
        self.assertTrue(support.wait_until(lambda: not self.processes(), 5), "pip goes on")
        self.assertEqual(os.listdir(self.out), [])
        self.assert_nothing_left()
        lost = self.temporary / "haft-build-abcdef"  # as if the supervisor had been killed as well
        support.write_tree(lost, {"target/x": "x"})
        self.haft("-o", self.out / "x", "-c", "tool", "-f", "wheels", "tool")
        self.assert_nothing_left()

    def test_killed_at_random_moments(self):
        """The old output or the whole new one; and the next build cleans up."""
        command = ["--no-profile", "-o", self.out / "x", "-c", "tool", "-f", "wheels", "tool"]
        duration = 60
        for _ in range(
            3
        ):  # the first, with nothing in the page cache, takes longer than those that are killed
            began = time.monotonic()
            self.haft(*command)
            duration = min(duration, time.monotonic() - began)
        whole = (self.out / "x").read_bytes()
        dice = random.Random(50)
        killed = 0
        rounds = 50 if support.LONG else 8
        for _ in range(rounds):
            (self.out / "x").write_text("old")
            process = support.start(
                [support.HAFT, "build", *command],
                env=self.env(),
                cwd=self.dir,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            # Half of them in the last fifth, where the output is written.
            time.sleep(
                dice.uniform(0, 1.05) * duration
                if dice.random() < 0.5
                else dice.uniform(0.8, 1.05) * duration
            )
            process.kill()
            killed += process.wait() == -signal.SIGKILL
            self.assertIn((self.out / "x").read_bytes(), (b"old", whole))
        self.assertGreater(killed, rounds // 3)
        self.haft(*command)
        self.assertEqual(os.listdir(self.out), ["x"])
        self.assert_nothing_left()


class TestOptions(OptionCase):
    def setUp(self):
        super().setUp()
        self.site = support.write_tree(
            self.dir / "site",
            {
                "tool.py": TOOL,
                "dep.py": "NAME = 'dep'\n",
                "tool-1.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main\n"
                "show = tool:show\ncode = tool:code\n",
            },
        )

    def build(self, *arguments, name="x"):
        done = self.haft("--site-packages", self.site, *arguments, "-o", self.out / name)
        return self.out / name, done

    def test_no_entry_is_an_interpreter(self):
        bundle, _ = self.build()
        self.says("dep\n", bundle, "-c", "import dep; print(dep.NAME)")

    def test_e_wins_over_c(self):
        bundle, _ = self.build("-c", "tool", "-e", "tool.show")
        self.says("{} [] 0\n", bundle)

    @support.parametrised(
        python=["/usr/bin/env python3", "/usr/bin/python3 -sE", "/usr/bin/env -S python3 -O"]
    )
    def test_first_line_as_python(self, python):
        """shiv's way: the flags are taken over, and -E does not cut the bundle from its
        packages."""
        bundle, _ = self.build("-c", "show", "-p", python)
        optimize = 1 if "-O" in python else 0
        self.says(f"{{}} [] {optimize}\n", bundle)

    def test_ignored_variables(self):
        evil = support.write_tree(
            support.unique_dir(), {"evil.py": "", "sitecustomize.py": "print('evil')"}
        )
        bundle, _ = self.build("-c", "code", "-p", "/usr/bin/python3 -sE")
        code = (
            "import os\ntry: import evil\n"
            "except ImportError: print('none', sorted(n for n in os.environ if "
            "n.startswith('PYTHON')))"
        )
        self.says(
            "none ['PYTHONPATH']\n",
            bundle,
            code,
            PYTHONPATH=str(evil),
            PYTHONHASHSEED="1",
            PYTHONVERBOSE="1",
        )

    def test_injected(self):
        bundle, _ = self.build(
            "-c",
            "show",
            "--inject-env",
            "TEST_A=1 2",
            "--inject-env",
            "TEST_B=",
            "--inject-args",
            "--conf 'a b'",
            "--inject-args",
            "w",
            "--python-arg=-O",
        )
        self.says(
            "{'TEST_A': '1 2', 'TEST_B': ''} ['--conf', 'a b', 'w', 'x'] 1\n",
            bundle,
            "x",
            TEST_A="mine",
        )

    def test_sources(self):
        project = support.write_tree(
            self.dir / "project",
            {
                "mine/__init__.py": "def main(): print('mine')\n",
                ".git/config": "x",
                "mine/__pycache__/old.pyc": "x",
                "mine/data.txt": "x",
            },
        )
        bundle = self.out / "x"
        self.haft("--sources", project, "-e", "mine:main", "-o", bundle)
        self.says("mine\n", bundle)
        names = support.haft("ls", "-R", bundle).stdout
        self.assertIn("data.txt", names)
        self.assertNotIn(".git", names)
        self.assertNotIn("old.pyc", names)

    @support.parametrised(kind=["python", "shell", "elf"])
    def test_exe(self, kind):
        script = self.dir / "run-me"
        text = {
            "python": "#!/usr/bin/env python3\nimport dep, sys\nprint(dep.NAME, sys.argv)\n",
            "shell": "#!/bin/sh\necho $0 $1\n",
        }.get(kind)
        script.write_bytes(text.encode() if text else pathlib.Path("/bin/echo").read_bytes())
        bundle, _ = self.build("-x", "run-me")
        self.says(
            {
                "python": "dep ['/haft/x/bin/run-me', 'a']\n",
                "shell": "/haft/x/bin/run-me a\n",
                "elf": "a\n",
            }[kind],
            bundle,
            "a",
        )

    def test_exe_is_not_there(self):
        done = self.haft(
            "--site-packages", self.site, "-x", "none", "-o", self.out / "x", check=False
        )
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, "'none'", "No such file")

    def test_isolated(self):
        """Neither the host's packages nor the user's own; PYTHONPATH, which somebody has set on
        purpose, stays."""
        code = (
            "import sys, site, subprocess\n"
            "print([p for p in sys.path if 'packages' in p], site.ENABLE_USER_SITE)\n"
            "try: import certbot\nexcept ImportError: print('none')\n"
        )
        child = (
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
        )
        isolated, _ = self.build("-c", "code", "--isolated", name="isolated")
        expected = "['/haft/isolated/site-packages'] False\nnone\n"
        self.says(expected, isolated, code)
        self.says(expected, isolated, child)
        mine = support.write_tree(support.unique_dir(), {"mine.py": "NAME = 'mine'"})
        self.says("mine\n", isolated, "import mine; print(mine.NAME)", PYTHONPATH=str(mine))
        inherit, _ = self.build("-c", "code")
        self.says(
            "True\n", inherit, "import sys; print('/usr/lib/python3/dist-packages' in sys.path)"
        )

    def test_multi_call(self):
        bundle, _ = self.build("-c", "tool", "--multi-call", name="tool")
        (self.out / "show").symlink_to("tool")
        (self.out / "other").symlink_to("tool")
        os.link(bundle, self.out / "code")
        self.says("tool dep ['a']\n", bundle, "a")
        self.says("{} ['a'] 0\n", self.out / "show", "a")
        self.says("tool dep []\n", self.out / "other")
        self.says("5\n", self.out / "code", "print(5)")
        self.says("{} [] 0\n", "show", PATH=f"{self.out}:/usr/bin")
        plain, _ = self.build("-c", "tool", name="plain")
        (self.out / "link").mkdir()
        (self.out / "link" / "show").symlink_to(plain)
        self.says("tool dep []\n", self.out / "link" / "show")

    def test_mount_at(self):
        bundle, _ = self.build("-c", "code", "--mount-at", "/opt/my/app")
        self.says("/opt/my/app/site-packages/dep.py\n", bundle, "import dep; print(dep.__file__)")
        self.assertEqual(support.info(bundle)["mount"], "/opt/my/app")

    def test_build_id(self):
        first, _ = self.build("-c", "tool", "--build-id", "release 7")
        self.assertEqual(support.info(first)["build_id"], "release 7")
        self.assertIn("release 7", support.haft("info", first).stdout)

    def test_python_preamble(self):
        """With the names that shiv gives it, before the entry, in the same process."""
        (self.dir / "pre.py").write_text(
            "import os, sys, dep\n"
            "print('pre', __name__, archive, site_packages, env.entry_point, env.build_id)\n"
            "os.environ['TEST_A'] = 'set'\nsys.argv.append('more')\n"
        )
        bundle, _ = self.build("-c", "show", "--preamble", "pre.py", "--build-id", "7")
        self.says(
            f"pre __main__ {bundle} /haft/x/site-packages tool:show 7\n"
            f"{{'TEST_A': 'set'}} ['more'] 0\n",
            bundle,
        )
        self.says(
            f"pre __main__ {bundle} /haft/x/site-packages None 7\ndep\n",
            bundle,
            "-c",
            "import dep; print(dep.NAME)",
            HAFT_INTERPRETER="1",
        )

    def test_program_as_preamble(self):
        (self.dir / "pre").write_text("#!/bin/sh\necho pre\n")
        (self.dir / "run").write_text("#!/bin/sh\necho run $1; exit 3\n")
        bundle, _ = self.build("-x", "run", "--preamble", "pre")
        self.says("pre\nrun a\n", bundle, "a", status=3)

    def test_preamble_that_fails(self):
        (self.dir / "pre.py").write_text("raise SystemExit(9)")
        bundle, _ = self.build("-c", "tool", "--preamble", "pre.py")
        self.says("", bundle, status=9)

    def test_uncompressed(self):
        (self.site / "big.txt").write_text("long " * 100_000)
        packed, _ = self.build("-c", "tool", "--compressed", name="packed")
        stored, _ = self.build("-c", "tool", "--uncompressed", name="stored")
        self.assertGreater(stored.stat().st_size, packed.stat().st_size + 400_000)
        self.says("tool dep []\n", stored)

    def test_accepted_for_shiv(self):
        """--no-modify and --root need nothing here, and say so; the others are silent."""
        _, done = self.build("-c", "tool", "-E", "--reproducible", "--compile-pyc")
        self.assertEqual(done.stderr, "")
        _, done = self.build("-c", "tool", "--no-modify", "--root", "/somewhere")
        self.assertRegex(
            done.stderr, r"^haft: --no-modify: is always so; .*\nhaft: --root: not needed; .*\n$"
        )


class TestProject(OptionCase):
    def setUp(self):
        super().setUp()
        support.write_tree(
            self.dir,
            {
                "site/tool.py": TOOL,
                "site/dep.py": "NAME = 'dep'\n",
                "site/tool-1.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main\n"
                "show = tool:show\n",
            },
        )

    def project(self, text):
        (self.dir / "pyproject.toml").write_text(text)

    def test_all_from_the_project(self):
        self.project(
            "[project]\nname = 'x'\n[tool.haft]\nconsole-script = 'show'\n"
            "site-packages = ['site']\n"
            f"output-file = '{self.out}/x'\npython-arg = ['-O']\n[tool.haft.inject-env]\n"
            f"TEST_A = 'b'\n"
        )
        self.haft()
        self.says("{'TEST_A': 'b'} [] 1\n", self.out / "x")
        self.haft("-c", "tool")
        self.says("tool dep []\n", self.out / "x")

    def test_not_read(self):
        self.project("[tool.haft]\nnonsense = 1\n")
        self.haft("--no-project", "--site-packages", "site", "-c", "tool", "-o", self.out / "x")
        self.says("tool dep []\n", self.out / "x")

    def test_unknown_key(self):
        self.project("[tool.haft]\nsite_packages = ['site']\n")
        done = self.haft("-o", self.out / "x", "-c", "tool", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertOneLine(
            done.stderr,
            "'pyproject.toml'",
            "line 2",
            "'site_packages'",
            "did you mean 'site-packages'?",
        )

    def test_no_toml(self):
        self.project("[tool.haft\n")
        done = self.haft("-o", self.out / "x", "-c", "tool", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertOneLine(done.stderr, "'pyproject.toml'", "line 1")


if HAVE_PIP:

    class TestShivExamples(OptionCase):
        """Commands of shiv's own documentation, with `haft build` in place of `shiv`."""

        @support.parametrised(
            line=[
                "-c tool -o x tool",
                "-o x tool",
                "--console-script tool --output-file x tool dep",
                "-c tool -o x -r requirements.txt",
                "--site-packages dist --compressed -p /usr/bin/env|python3 -o x -e tool:main",
                "-o x -e tool.main -p /usr/bin/python3|-sE -E --compile-pyc --reproducible tool",
                "--build-id 1 --uncompressed --no-modify --root /tmp/$USER -c tool -o x tool",
            ]
        )
        def test_line(self, line):
            wheels = make_wheels(self.dir / "wheels")
            (self.dir / "requirements.txt").write_text("dep==2.0\ntool\n")
            support.write_tree(self.dir / "dist", {"tool.py": TOOL, "dep.py": "NAME = 'dep'\n"})
            self.haft(
                *(word.replace("|", " ") for word in line.split()),
                env=self.env(PIP_FIND_LINKS=str(wheels)),
            )
            bundle = self.dir / "x"
            if re.search(r"-c|-e", line) or "console-script" in line:
                self.says("tool dep ['a']\n", bundle, "a")
            else:
                self.says("dep\n", bundle, "-c", "import dep; print(dep.NAME)")
