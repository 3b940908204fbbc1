"""haft build with packages by pip; builders that fail or are killed while pip works."""

import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import support
from support.options import TOOL, OptionCase, make_wheels
from support.tools import needs

SECONDS = 25


@needs("pip")
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

    def test_environment_without_pip(self):
        """Another Python's pip installs for it, its own where it has one."""
        environment = self.dir / "environment"
        subprocess.run([support.PYTHON, "-m", "venv", "--without-pip", environment], check=True)
        python = environment / "bin/python"
        wheels = ["--no-index", "-f", "wheels", "tool"]
        self.haft("-o", self.out / "x", "-p", python, "-c", "tool", *wheels)
        self.says("tool dep []\n", self.out / "x")
        self.assertEqual(support.info(self.out / "x")["python"]["path"], str(python))

    def test_records_what_a_shim_starts(self):
        """pyenv's start another Python in another directory."""
        shim = self.dir / "python3"
        shim.write_text(f'#!/bin/sh\nexec {support.PYTHON} "$@"\n')
        shim.chmod(0o755)
        self.haft("-o", self.out / "x", "-p", shim, "-c", "tool", "-f", "wheels", "tool")
        shim.unlink()
        self.says("tool dep []\n", self.out / "x")
        self.assertNotEqual(support.info(self.out / "x")["python"]["path"], str(shim))

    def test_configuration_that_sends_packages_elsewhere(self):
        config = self.dir / "pip.conf"
        config.write_text(
            "[global]\nrequire-virtualenv = true\n"
            "[install]\nuser = true\nprefix = /no\nroot = /no\ndry-run = true\n"
        )
        words = ["-o", self.out / "x", "-c", "tool", "-f", "wheels", "tool"]
        self.haft(*words, env={**self.env(), "PIP_CONFIG_FILE": str(config)})
        self.says("tool dep []\n", self.out / "x")

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
        lost = (
            self.temporary / "haft-build-abcdef"
        )  # as if the cleanup child had been killed as well
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


@needs("pip")
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
