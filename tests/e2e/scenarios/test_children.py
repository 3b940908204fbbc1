"""Scenarios 11 and 12: worker processes of every kind, and other programs that a program starts."""

import os
import signal
import subprocess

import support
from support.scenario_trees import RESULTS, WORKERS

SECONDS = 50


FUNCTION = support.Both("crowd", WORKERS, "-e", "crowd.main:main")
MODULE = support.Both("crowd-m", WORKERS, "-m", "crowd.main")
LOKY = {
    "loky_main.py": """\
import math, os, sys
import joblib

def work(number):
    import joblib
    return math.isqrt(number), "/site-packages/joblib/" in joblib.__file__

def main():
    for backend in sys.argv[1:]:
        print(backend, joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(work)(n * n)
            for n in range(6)))
    executor = joblib.externals.loky.get_reusable_executor(max_workers=2)
    print(sorted(executor.map(lambda n: n + 1, range(4))))
    executor.shutdown()
"""
}


class TestMultiprocessing(support.ScenarioCase):
    """Scenario 11."""

    @support.parametrised(kind=["fork", "spawn", "forkserver"])
    def test_every_way_to_have_workers(self, kind, mode):
        """Spawned workers run the script of bin/ again, as __mp_main__, and with it import the
        program. How often depends on how many workers of a pool got to work."""
        with self.clean():
            done = support.run([FUNCTION.bundle, kind], mode=mode)
        plain = support.run([FUNCTION.plain, kind], mode=mode)
        for said in (done, plain):
            self.assertEqual(
                (said.stdout.replace("top level\n", ""), said.stderr, said.returncode),
                (RESULTS.replace("top level\n", ""), "", 0),
            )

    @support.parametrised(kind=["fork", "spawn", "forkserver"])
    def test_program_that_is_a_module(self, kind):
        """Here spawned workers run the module again, as __mp_main__; that is Python's own rule."""
        said = []
        for program in (MODULE.bundle, MODULE.plain):
            with self.clean():
                said.append(support.run([program, kind], mode=support.MODES[-1], check=True))
        # How often it is run depends on how many workers of a pool got to work.
        ours, plain = (done.stdout.replace("top level\n", "") for done in said)
        self.assertEqual((ours, said[0].stderr), (plain, said[1].stderr))
        self.assertEqual(ours, RESULTS.replace("top level\n", ""))

    def test_joblib_with_loky(self):
        both = support.Both("loky", [LOKY, "python3-joblib"], "-e", "loky_main:main")
        said = self.same(both, "loky", "multiprocessing", mode=support.MODES[-1])
        pairs = str([(number, True) for number in range(6)])
        self.assertEqual(said, f"loky {pairs}\nmultiprocessing {pairs}\n[1, 2, 3, 4]\n")

    @support.parametrised(end=["os._exit(4)", "os.kill(os.getpid(), 9)", "sys.exit(4)"])
    def test_program_ends_while_its_forkserver_lives(self, end):
        """The fork server and the resource tracker end with the pipe to the program; then all is
        gone."""
        both = support.Both("ends", {**support.PROBE, **WORKERS}, "-e", "probe:main")
        code = (
            "import multiprocessing as m, crowd.tools\n"
            "context = m.get_context('forkserver')\n"
            "process = context.Process(target=crowd.tools.leave, args=(3,)); process.start(); "
            "process.join()\n"
            f"import multiprocessing.forkserver as f; print(process.exitcode, flush=True); {end}\n"
        )
        status = -signal.SIGKILL if "kill" in end else 4
        for mode in support.MODES:
            self.assertEqual(self.same(both, code, mode=mode, status=status), "3\n")

    def test_worker_is_killed(self, mode):
        """A worker's death is reported to the program and costs the mount nothing."""
        both = support.Both("ends", {**support.PROBE, **WORKERS}, "-e", "probe:main")
        code = (
            "import concurrent.futures as c, multiprocessing as m, signal, crowd.tools\n"
            "pool = c.ProcessPoolExecutor(1, m.get_context('spawn'))\n"
            "try: pool.submit(os._exit, 1).result()\n"
            "except c.process.BrokenProcessPool: print('broken')\n"
            "process = m.get_context('spawn').Process(target=signal.pause); process.start(); "
            "process.kill()\n"
            "process.join(); print(process.exitcode, crowd.tools.twice(4))\n"
        )
        self.assertEqual(self.same(both, code, mode=mode), "broken\n-9 8\n")


DEP = {
    **support.PROBE,
    "dep/__init__.py": "NAME = 'dep'\n",
    "dep/data.txt": "data\n",
    "dep/__main__.py": "import sys, dep\nprint(dep.NAME, sys.argv)\n",
    "dep-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: dep\nVersion: 1.5\n",
    "dep-1.5.dist-info/RECORD": "dep/__init__.py,,\n",
    "dep-1.5.dist-info/INSTALLER": "pip\n",
}

BOTH = support.Both("family", DEP, "-e", "probe:main")


class TestChildren(support.ScenarioCase):
    """Scenario 12. More of it: test_python.TestChildren."""

    def child(self, arguments, mode, options="", **rest):
        code = (
            f"import subprocess, sys; sys.exit(subprocess.run({arguments}, {options}).returncode)"
        )
        return self.same(BOTH, code, mode=mode, **rest)

    def test_module(self, mode):
        for options in (
            "",
            "close_fds=True",
            "close_fds=False",
            "start_new_session=True",
            "cwd='/'",
        ):
            said = self.child("[sys.executable, '-m', 'dep', 'a', '-b']", mode, options)
            self.assertEqual(said, "dep ['SITE/dep/__main__.py', 'a', '-b']\n")

    def test_script_from_standard_input_and_file(self, mode):
        script = support.write_tree(
            support.unique_dir("script"), {"s.py": "import dep, sys; print(dep.NAME, sys.argv)"}
        )
        self.assertEqual(
            self.child("[sys.executable, '-', 'x']", mode, "input=b'import dep; print(dep.NAME)'"),
            "dep\n",
        )
        self.assertEqual(
            self.child(f"[sys.executable, '{script}/s.py', 'x']", mode),
            f"dep ['{script}/s.py', 'x']\n",
        )

    def test_python_by_name(self, mode):
        """python3 of PATH, as makefiles and shell scripts say. (In an installation that is another
        Python, so there is nothing to compare with.)"""
        for command in ("/usr/bin/python3 -m dep", "sh -c 'python3 -m dep'", "env python3 -m dep"):
            with self.clean():
                done = support.run(
                    [BOTH.bundle, f"import os; sys.exit(os.system({command!r}) >> 8)"], mode=mode
                )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(
                done.stdout, "dep ['/run/haft/family/site-packages/dep/__main__.py']\n"
            )

    def test_empty_environment(self, mode):
        """env={}: such a child is a plain Python of the host, as documented; it starts and has
        nothing of ours."""
        code = (
            "import subprocess, sys\n"
            "show = 'import sys; print([p for p in sys.path if \"/run/haft/\" in p])'\n"
            "sys.exit(subprocess.run([sys.executable, '-c', show], env={}).returncode)"
        )
        with self.clean():
            done = support.run([BOTH.bundle, code], mode=mode)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("[]\n", "", 0))

    def test_pip_list(self):
        """pip started by the program lists the bundle's distributions with those of the host."""
        said = self.child(
            "[sys.executable, '-m', 'pip', 'list', '--format=freeze', "
            "'--disable-pip-version-check']",
            support.MODES[-1],
        )
        self.assertIn("dep==1.5\n", said)
        self.assertIn("pip==", said)
        said = self.child(
            "[sys.executable, '-m', 'pip', 'show', '-f', 'dep', '--disable-pip-version-check']",
            support.MODES[-1],
        )
        self.assertIn("Location: SITE\n", said)

    def test_becomes_python_again(self, mode):
        code = "os.execv(sys.executable, [sys.executable, '-m', 'dep', 'again'])"
        self.assertEqual(
            self.same(BOTH, code, mode=mode), "dep ['SITE/dep/__main__.py', 'again']\n"
        )

    @support.parametrised(
        how=[
            "os.execv({me}, [{me}, code])",
            "os.spawnv(os.P_WAIT, {me}, [{me}, code])",
            "os.system(f'{{{me}}} \"{{code}}\"')",
            "os.posix_spawn({me}, [{me}, code], os.environ) and os.wait()",
        ]
    )
    def test_starts_itself(self, how, mode):
        """The bundle's own mount is not that of the bundle it starts, though both are at the same
        path."""
        code = (
            "import dep; sys.stdout.flush()\ncode = 'import dep; print(dep.NAME, dep.__file__)'\n"
            + how.format(me="sys.argv[0]")
        )
        self.assertEqual(self.same(BOTH, code, mode=mode), "dep SITE/dep/__init__.py\n")

    def test_starts_itself_ten_deep(self, mode):
        """Every level keeps its own mount: the first still reads when all the others have ended."""
        code = (
            "import subprocess, sys\nlevel = int(sys.argv[1])\n"
            "if level: subprocess.run([sys.argv[0], sys.argv[2], str(level - 1), "
            "sys.argv[2]], check=True)\n"
            "import dep; print(level, open(os.path.dirname(dep.__file__) + "
            "'/data.txt').read(), end='')\n"
        )
        said = self.same(BOTH, code, "9", code, mode=mode)
        self.assertEqual(said, "".join(f"{level} data\n" for level in range(10)))

    def test_starts_another_bundle(self, mode):
        other = support.Both(
            "other", {**support.PROBE, "dep.py": "NAME = 'other'\n"}, "-e", "probe:main"
        )
        code = (
            "import subprocess, dep\n"
            f"subprocess.run([{str(other.bundle)!r}, 'import dep, sys; print(dep.NAME, "
            f"dep.__file__)'], check=True)\n"
            "print(dep.NAME, dep.__file__)"
        )
        with self.clean():
            done = support.run([BOTH.bundle, code], mode=mode, check=True)
        self.assertEqual(
            (done.stdout, done.stderr),
            (
                "other /run/haft/other/site-packages/dep.py\n"
                "dep /run/haft/family/site-packages/dep/__init__.py\n",
                "",
            ),
        )

    def test_system_tools(self, mode):
        """git, curl and bash work and see nothing of ours in their environment but what Python
        children need."""
        repository = support.unique_dir("git", 0o755)
        subprocess.run(["git", "init", "-q", repository], check=True)
        code = (
            "import subprocess\n"
            f"subprocess.run(['git', '-c', 'safe.directory=*', '-C', {str(repository)!r}, "
            f"'status', '--short',"
            " '--branch'], check=True)\n"
            "print(subprocess.run(['curl', '-s', 'file:///etc/hostname'], "
            "capture_output=True).returncode)\n"
            "print(subprocess.check_output(['bash', '-c', 'echo ${BASH_VERSION:+bash} "
            "$LD_LIBRARY_PATH$LD_PRELOAD']))\n"
            "for tool in ('git', 'curl', 'bash'):\n"
            "    path = subprocess.check_output(['sh', '-c', f'command -v {tool}'], "
            "text=True).strip()\n"
            "    print(path, subprocess.run(['ldd', path], capture_output=True, "
            "text=True).stdout.count('haft'))\n"
            "print(sorted(n for n in os.environ if n.startswith(('LD_', 'GIT_', 'CURL_'))))\n"
        )
        said = self.same(BOTH, code, mode=mode)
        self.assertEqual(said.count(" 0\n"), 3, said)

    def test_child_outlives_the_program(self, mode):
        """A child in the background goes on importing from the mount after the program has
        ended."""
        proof = support.unique_dir("late", 0o777) / "proof"
        child = (
            f"import time; time.sleep(0.5); import dep; open({str(proof)!r}, "
            f"'w').write(dep.__file__)"
        )
        code = (
            f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}], "
            f"stdin=-3, stdout=-3,"
            " stderr=-3)"
        )
        with self.clean():
            done = support.run([BOTH.bundle, code], mode=mode, timeout=5)
            self.assertEqual(done.returncode, 0)
            self.assertTrue(support.wait_until(lambda: proof.exists() and proof.read_text(), 10))
        self.assertEqual(proof.read_text(), "/run/haft/family/site-packages/dep/__init__.py")
        self.assertFalse(os.path.exists("/haft") or os.path.exists("/run/haft/family"))
