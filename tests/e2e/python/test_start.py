"""Python in a bundle and in its children: .pth files, namespace packages, path order,
multiprocessing."""

import support

SECONDS = 20

# Two distributions that share the PEP 420 package `shared`, with .pth files of both kinds.
ONE = {
    "pyapp.py": "import sys\n\ndef main():\n    exec(sys.argv[1], {'__name__': 'code'})\n",
    "shared/one/__init__.py": "NAME = 'one'\n",
    "one.pth": "# a comment\none_more\n\nnot_there\n",
    "one_more/by_pth.py": "NAME = 'by pth'\n",
    # a back-port of what the standard library has by now
    "uuid.py": "raise ImportError('the back-port')\n",
}
TWO = {
    "shared/two.py": "NAME = 'two'\n",
    "two.pth": "import sys; sys.pth_runs = getattr(sys, 'pth_runs', 0) + 1\n",
    "dep.py": "WHERE = 'bundle'\n",
}

WORKERS = """\
import multiprocessing, os, sys
print("top level", __name__)

def work(number):
    import shared.two, by_pth
    return number * 2, shared.two.__file__.startswith("/run/haft/"), by_pth.NAME

def main():
    kind = sys.argv[1]
    with multiprocessing.get_context(kind).Pool(2) as pool:
        print(pool.map(work, range(4)))

if __name__ == "__main__":
    main()
"""


class PythonCase(support.TestCase):
    bundles = {}

    def bundle(self, *entry):
        if entry not in self.bundles:
            both = (ONE, {**TWO, "workers.py": WORKERS})
            trees = [support.write_tree(support.unique_dir(), files) for files in both]
            self.bundles[entry] = support.build(
                trees, *entry, output=support.unique_dir() / "pyapp"
            )
        return self.bundles[entry]

    def say(self, code, mode, **options):
        """What the code prints, in the program."""
        with self.clean():
            done = support.run([self.bundle("-e", "pyapp:main"), code], mode=mode, **options)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        return done.stdout

    def say_both(self, code, mode, **options):
        """What the code prints in the program and in a child started with -c: has to be the
        same."""
        program = self.say(code, mode, **options)
        child = self.say(
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)",
            mode,
            **options,
        )
        self.assertEqual(child, program, "child and program differ")
        return program


class TestImports(PythonCase):
    def test_pth_path_line(self, mode):
        self.assertEqual(
            self.say_both("import by_pth; print(by_pth.NAME, by_pth.__file__)", mode),
            "by pth /run/haft/pyapp/site-packages/one_more/by_pth.py\n",
        )

    def test_pth_import_line_runs_once(self, mode):
        self.assertEqual(self.say_both("import sys; print(sys.pth_runs)", mode), "1\n")

    def test_namespace_package_of_two_trees(self, mode):
        code = (
            "import shared.one, shared.two; print(shared.one.NAME, shared.two.NAME, "
            "list(shared.__path__))"
        )
        self.assertEqual(
            self.say_both(code, mode), "one two ['/run/haft/pyapp/site-packages/shared']\n"
        )

    def test_path_order(self, mode):
        """The standard library, then the bundle, then what the host has."""
        other = support.write_tree(
            support.unique_dir(), {"dep.py": "WHERE = 'host'", "only_host.py": ""}
        )
        code = (
            "import sys, uuid, dep; print(uuid.__file__, dep.WHERE)\n"
            "p = sys.path; print(p.index('/usr/lib/python3.11') < "
            "p.index('/run/haft/pyapp/site-packages')"
            " < p.index('/usr/lib/python3/dist-packages'))\n"
            "print(len(p) - len(set(p)))"
        )
        env = support.clean_env(PYTHONPATH=str(other))
        self.assertEqual(
            self.say_both(code, mode, env=env), "/usr/lib/python3.11/uuid.py bundle\nTrue\n0\n"
        )
        relative = "import sys; print([d for d in sys.path if not d.startswith('/')])"
        self.assertEqual(self.say(relative, mode, env=env), "[]\n")
        self.assertEqual(self.say_both("import only_host; print(1)", mode, env=env), "1\n")

    def test_working_directory_does_not_matter(self, mode):
        """A module of the same name in the working directory or beside the bundle is not run; by
        -m it is, as by python -m."""
        directory = support.write_tree(
            support.unique_dir(),
            {
                f"{name}.py": "print('fake!')"
                for name in ("pyapp", "dep", "site", "os", "enum", "sitecustomize")
            },
        )
        self.assertEqual(self.say("import dep; print(dep.WHERE)", mode, cwd=directory), "bundle\n")
        with self.clean():
            done = support.run([self.bundle("-m", "pyapp")], mode=mode, cwd=directory)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("fake!\n", "", 0))

    def test_hosts_sitecustomize_still_runs(self, mode):
        host = support.write_tree(
            support.unique_dir(),
            {
                "sitecustomize.py": "import sys, dep\n"
                "sys.host_runs = getattr(sys, 'host_runs', 0) + 1\n"
                "sys.saw = dep.WHERE\n"
            },
        )
        env = support.clean_env(PYTHONPATH=str(host))
        self.assertEqual(
            self.say_both("import sys; print(sys.host_runs, sys.saw)", mode, env=env), "1 bundle\n"
        )

    def test_metadata_and_resources(self, mode):
        code = (
            "import importlib.metadata as m, importlib.resources as r, pkgutil\n"
            "print(m.version('lab'), [e.value for e in "
            "m.entry_points(group='console_scripts', name='lab')])\n"
            "print((r.files('lab_data') / 'text.txt').read_text().strip())\n"
            "print(os.access(r.files('lab_data') / 'text.txt', os.W_OK))"
        )
        with self.clean():
            done = support.run([support.lab(), code], mode=mode, check=True)
        self.assertEqual(done.stdout, "1.0 ['lab:main']\ntext of the lab\nFalse\n")

    def test_byte_code_of_the_bundle_is_used(self, mode):
        """No source of the bundle is compiled at start, and nothing is written anywhere."""
        code = (
            "import lab_lazy.m1, lab_lazy.m2, importlib.util\n"
            "print(lab_lazy.m1.__cached__)\n"
            "data = open(lab_lazy.m1.__cached__, 'rb').read(16)\n"
            "print(data[:4] == importlib.util.MAGIC_NUMBER, int.from_bytes(data[4:8], 'little'))"
        )
        with self.clean():
            done = support.run(
                [support.lab(), code],
                mode=mode,
                check=True,
                env=support.clean_env(PYTHONVERBOSE="1"),
            )
        self.assertEqual(
            done.stdout,
            "/run/haft/lab/site-packages/lab_lazy/__pycache__/m1.cpython-311.pyc\nTrue 1\n",
        )
        self.assertNotRegex(
            done.stderr, r"(?m)^# (could not create|wrote|code object from '?/haft).*\.py'?$"
        )


class TestChildren(PythonCase):
    def child(self, mode, *arguments, **options):
        code = (
            f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, "
            f"*{arguments!r}]).returncode)"
        )
        return self.say(code, mode, **options)

    def test_flask_in_a_child(self, mode):
        site = support.write_tree(
            support.unique_dir(),
            {
                "parent.py": (
                    "import subprocess, sys\n"
                    "sys.exit(subprocess.run([sys.executable, '-c', 'import flask; "
                    "print(flask.__file__)']).returncode)"
                )
            },
        )
        bundle = support.build(
            [support.tree("python3-flask"), site],
            "-m",
            "parent",
            output=support.unique_dir() / "parent",
        )
        with self.clean():
            done = support.run([bundle], mode=mode, check=True)
        self.assertEqual(
            (done.stdout, done.stderr), ("/run/haft/parent/site-packages/flask/__init__.py\n", "")
        )

    def test_module_in_a_child(self, mode):
        self.assertEqual(self.child(mode, "-m", "pyapp", "x"), "")
        self.assertEqual(self.child(mode, "-m", "one_more.by_pth"), "")

    def test_isolated_child_has_nothing_of_ours(self, mode):
        code = "import sys; print([p for p in sys.path if '/run/haft/' in p])"
        self.assertEqual(self.child(mode, "-I", "-c", code), "[]\n")

    def test_executable_is_the_hosts_python(self, mode):
        self.assertEqual(
            self.say("import sys; print(sys.executable, sys.prefix)", mode),
            f"{support.PYTHON} /usr\n",
        )

    def test_system_programs_see_no_library_path(self, mode):
        code = (
            "import subprocess; subprocess.run(['sh', '-c', 'echo ${LD_LIBRARY_PATH-unset}; "
            "ls /run | grep -c ^haft$'])"
        )
        self.assertEqual(self.say(code, mode), "unset\n1\n")

    def test_program_executes_python_again(self, mode):
        code = (
            "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import dep; "
            "print(dep.WHERE)'])"
        )
        self.assertEqual(self.say(code, mode), "bundle\n")

    def test_program_starts_itself(self, mode):
        """A bundle inside a bundle, by subprocess and by exec."""
        code = (
            "import os, subprocess, sys\n"
            "subprocess.run([sys.argv[0], 'import dep; print(dep.WHERE)'], check=True)\n"
            "sys.stdout.flush(); os.execv(sys.argv[0], [sys.argv[0], 'import by_pth; "
            "print(by_pth.NAME)'])"
        )
        self.assertEqual(self.say(code, mode), "bundle\nby pth\n")

    def test_sys_executable_with_sys_argv_is_the_bundle_again(self, mode):
        """What reloaders do, and gunicorn at SIGUSR2. The file is no Python script."""
        code = (
            "import os, subprocess, sys\n"
            "if len(sys.argv) == 2:\n"
            "    sys.exit(subprocess.run([sys.executable] + sys.argv + ['again']).returncode)\n"
            "import shared.two; print(sys.argv[2:], shared.two.__file__); sys.exit(7)\n"
        )
        with self.clean():
            done = support.run([self.bundle("-e", "pyapp:main"), code], mode=mode)
        self.assertEqual((done.returncode, done.stderr), (7, ""))
        self.assertEqual(done.stdout, "['again'] /run/haft/pyapp/site-packages/shared/two.py\n")


class TestMultiprocessing(PythonCase):
    @support.parametrised(
        kind=["fork", "spawn", "forkserver"], entry=["-e workers:main", "-m workers"]
    )
    def test_pool(self, kind, entry, mode):
        with self.clean():
            done = support.run([self.bundle(*entry.split()), kind], mode=mode)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        results = str([(number * 2, True, "by pth") for number in range(4)])
        self.assertIn(results, done.stdout.splitlines())
        self.assertLessEqual(
            done.stdout.count("top level __main__"), 1, "the program's top level ran in a worker"
        )
