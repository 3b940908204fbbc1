"""The program is __main__, as a script of bin/ or `python -m` makes it, and named as it is."""

import support

SECONDS = 20

TOOL = {
    "tool.py": """\
import atexit, os, pickle, sys, threading, time

class Job:
    pass

def attempt(where):
    try:
        pickle.loads(pickle.dumps(Job()))
        print(where, "pickled", os.path.basename(sys.argv[0]))
    except Exception as error:
        print(where, repr(error))

def later():
    time.sleep(0.2)
    attempt("thread")

def main():
    exec(sys.argv[1], {"os": os, "sys": sys})

if __name__ == "__main__":
    try:
        import neighbour
        print("found", neighbour.__file__)
    except ImportError as error:
        print(error)
    atexit.register(attempt, "atexit")
    threading.Thread(target=later).start()
""",
    "tool-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
    "tool-1.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main\n",
}
SCRIPT = support.Both("tool", TOOL, "-c", "tool")
FUNCTION = support.Both("function", TOOL, "-e", "tool:main")
MODULE = support.Both("module", TOOL, "-m", "tool")
BOTH = {"SCRIPT": SCRIPT, "FUNCTION": FUNCTION}


class TestScript(support.ScenarioCase):
    @support.parametrised(name=["SCRIPT", "FUNCTION"])
    def test_file_of_main(self, name):
        """Libraries take a program without one for an interactive session."""
        both = BOTH[name]
        said = self.same(
            both, "import __main__ as m; print(m.__file__ is not None, m.__spec__, m.__package__)"
        )
        self.assertEqual(said, "True None None\n")
        with self.clean():
            done = support.run(
                [both.bundle, "import __main__; print(open(__main__.__file__).readline())"],
                check=True,
            )
        self.assertEqual(done.stdout, "import sys\n\n")

    def test_traceback_begins_with_the_script(self):
        done = support.run([SCRIPT.bundle, "1/0"])
        self.assertRegex(
            done.stderr,
            r"^Traceback .*\n"
            r'  File "/run/haft/tool/bin/tool", line 4, in <module>\n(    .*\n)+'
            r'  File "/run/haft/tool/site-packages/tool.py", line',
        )

    def test_entry_named_for_one_start_is_main_too(self, mode):
        env = support.clean_env(HAFT_ENTRY_POINT="tool.main")
        code = "import __main__; print(__main__.__file__, sys.argv[0], sys.path[0])"
        with self.clean():
            done = support.run([SCRIPT.bundle, code], mode=mode, env=env, check=True)
        self.assertEqual(
            done.stdout.split()[:2], ["/run/haft/tool/.haft/py/_haft_entry.py", str(SCRIPT.bundle)]
        )
        self.assertNotIn("/.haft/py\n", done.stdout)


class TestModule(support.ScenarioCase):
    def test_main_stays_until_the_very_end(self):
        """Threads and functions of atexit still pickle classes of the program."""
        said = self.same(MODULE, cwd="/")
        self.assertEqual(
            said, "No module named 'neighbour'\nthread pickled tool.py\natexit pickled tool.py\n"
        )

    def test_working_directory_is_searched(self):
        directory = support.write_tree(support.unique_dir(mode=0o755), {"neighbour.py": ""})
        said = self.same(MODULE, cwd=directory)
        self.assertIn(f"found {directory}/neighbour.py\n", said)


class TestName(support.ScenarioCase):
    @support.parametrised(name=["SCRIPT", "FUNCTION"])
    def test_process_is_called_as_its_file(self, name):
        self.same(BOTH[name], "print(open('/proc/self/comm').read())")

    def test_start_again_by_a_name_found_in_PATH(self, mode):
        """What execute sys.executable with sys.argv: reloaders, gunicorn at SIGUSR2."""
        code = (
            "if os.environ.pop('AGAIN', None):\n"
            "    sys.stdout.flush(); os.execv(sys.executable, [sys.executable, *sys.argv])\n"
            "print(sys.argv[0], os.path.exists(sys.argv[0]))"
        )
        directory = SCRIPT.bundle.parent
        env = support.clean_env(PATH=f"{directory}:/usr/bin:/bin", AGAIN="1")
        with self.clean():
            done = support.run(["tool", code], mode=mode, env=env, cwd="/", check=True)
        self.assertEqual(done.stdout, f"{directory}/tool True\n")
