"""Python's own switches and variables with a bundle, and what isolation means for its children."""

import os

import support

SECONDS = 20

NSPKG = (
    "import sys, types, os;p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('old',));"
    "m = sys.modules.setdefault('old', types.ModuleType('old'));mp = "
    "m.__dict__.setdefault('__path__', []);"
    "(p not in mp) and mp.append(p)\n"
)
FILES = {
    "app.py": "import sys\n\ndef main():\n"
    "    exec(sys.argv[1], {'__name__': 'code', 'sys': sys})\n",
    "dep.py": "NAME = 'dep'\n",
    "old/one.py": "NAME = 'old.one'\n",  # no __init__.py: a pkg_resources-style namespace package
    "old_one-1-nspkg.pth": NSPKG,
    "workers.py": "import multiprocessing, sys\n\ndef work(_):\n    import old.one, dep\n"
    "    return old.one.NAME, dep.NAME\n\n"
    "def main():\n    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:\n"
    "        print(pool.map(work, [0]))\n",
}
WHERE = "import dep; print(dep.__file__)"
SITE = "/run/haft/semantics/site-packages"


class SemanticsCase(support.TestCase):
    built = {}

    def bundle(self, *arguments):
        if arguments not in self.built:
            site = support.write_tree(support.unique_dir(), FILES)
            self.built[arguments] = support.build(
                site,
                "--name",
                "semantics",
                *(arguments or ("-e", "app:main")),
                output=support.unique_dir() / "semantics",
            )
        return self.built[arguments]

    def run_code(self, code, *arguments, mode=None, **variables):
        with self.clean():
            return support.run(
                [self.bundle(*arguments), code], mode=mode, env=support.clean_env(**variables)
            )

    def says(self, out, code, *arguments, **variables):
        done = self.run_code(code, *arguments, **variables)
        self.assertEqual((done.stdout, done.stderr, done.returncode), (out, "", 0))


class TestVariables(SemanticsCase):
    @support.parametrised(
        variable=[
            "PYTHONSAFEPATH=1",
            "PYTHONNOUSERSITE=1",
            "PYTHONDONTWRITEBYTECODE=1",
            "PYTHONUNBUFFERED=1",
            "PYTHONOPTIMIZE=2",
            "PYTHONHASHSEED=0",
            "PYTHONUTF8=1",
            "PYTHONWARNINGS=error",
            "PYTHONDEVMODE=1",
        ]
    )
    def test_program_starts(self, variable, mode):
        name, value = variable.split("=")
        self.says(f"{SITE}/dep.py\n", WHERE, mode=mode, **{name: value})

    def test_import_times(self, mode):
        done = self.run_code(WHERE, mode=mode, PYTHONPROFILEIMPORTTIME="1")
        self.assertEqual((done.stdout, done.returncode), (f"{SITE}/dep.py\n", 0))
        self.assertRegex(done.stderr, r"import time: .*\| dep\n")

    def test_hostile_path_does_not_reach_the_start(self, mode):
        """Modules that every start imports, in a PYTHONPATH of somebody else's: nothing of them
        runs before the program.

        (Only `encodings` would: Python itself imports that, with or without a bundle.)"""
        names = (
            "enum",
            "site",
            "os",
            "io",
            "abc",
            "codecs",
            "_haft",
            "_haft_bundle",
            "sitecustomize2",
            "runpy",
            "app",
        )
        evil = support.write_tree(
            support.unique_dir(), {f"{name}.py": "print('evil')\n" for name in names}
        )
        self.says(f"{SITE}/dep.py\n", WHERE, mode=mode, PYTHONPATH=str(evil))
        self.says(
            f"{SITE}/dep.py\n",
            WHERE,
            "-e",
            "app:main",
            "--isolated",
            mode=mode,
            PYTHONPATH=str(evil),
        )

    def test_flags_of_the_bundle(self):
        self.says(
            "1 1 True\n",
            "print(sys.flags.optimize, sys.flags.no_user_site, sys.flags.dev_mode)",
            "-e",
            "app:main",
            "-p",
            "/usr/bin/python3 -sE",
            "--python-arg",
            "-O",
            "--python-arg=-Xdev",
        )


class TestChildren(SemanticsCase):
    def child(self, *flags, env=""):
        return (
            f"import subprocess; done = subprocess.run([sys.executable, *{flags!r}, '-c', "
            f"{WHERE!r}], "
            f"capture_output=True, text=True{env}); print(done.stdout.strip() or "
            f"done.stderr.splitlines()[-1])"
        )

    @support.parametrised(flag=["-s", "-B", "-O", "-P", "-u", "-Xdev"])
    def test_flags_that_keep_the_packages(self, flag, mode):
        self.says(f"{SITE}/dep.py\n", self.child(flag), mode=mode)

    @support.parametrised(flag=["-I", "-E"])
    def test_flags_that_lose_them(self, flag, mode):
        """Documented: such children ignore PYTHONPATH."""
        self.says("ModuleNotFoundError: No module named 'dep'\n", self.child(flag), mode=mode)

    def test_empty_environment(self):
        self.says("ModuleNotFoundError: No module named 'dep'\n", self.child(env=", env={}"))

    def test_without_site(self):
        """-S: the packages are there, before the standard library, as PYTHONPATH has them."""
        self.says(f"{SITE}/dep.py\n", self.child("-S"))

    @support.parametrised(kind=["fork", "spawn", "forkserver"])
    def test_old_namespace_packages_in_workers(self, kind, mode):
        with self.clean():
            done = support.run([self.bundle("-e", "workers:main"), kind], mode=mode)
        self.assertEqual((done.stdout, done.stderr), ("[('old.one', 'dep')]\n", ""))

    def test_workers_of_a_program_that_ignores_variables(self):
        with self.clean():
            done = support.run(
                [self.bundle("-e", "workers:main", "-p", "/usr/bin/python3 -I"), "spawn"],
                env=support.clean_env(PYTHONPATH="/nonexistent"),
            )
        self.assertEqual((done.stdout, done.stderr), ("[('old.one', 'dep')]\n", ""))

    def test_old_namespace_package_in_a_child(self):
        self.says(
            "old.one\n",
            "import subprocess; subprocess.run([sys.executable, '-c', 'import old.one; "
            "print(old.one.NAME)'])",
        )


class TestIsolated(SemanticsCase):
    CODE = (
        "print([p for p in sys.path if not p.startswith(('/usr/lib/python3.11', "
        "'/usr/lib/python311')) and not p.endswith('/.haft/bin')])"
    )

    def test_program_and_children(self, mode):
        for code in (
            self.CODE,
            f"import subprocess; subprocess.run([sys.executable, '-c', 'import sys; ' + "
            f"{self.CODE!r}.replace('if not', 'if p and not')])",
        ):
            self.says(f"['{SITE}']\n", code, "-e", "app:main", "--isolated", mode=mode)

    def test_user_site(self):
        home = support.unique_dir()
        user = home / ".local/lib/python3.11/site-packages"
        support.write_tree(user, {"mine.py": "", "mine.pth": "import sys; print('mine.pth')\n"})
        code = "try: import mine\nexcept ImportError: print('none')\nelse: print('there')"
        done = self.run_code(code, "-e", "app:main", "--isolated", HOME=str(home))
        self.assertEqual(done.stdout, "none\n")
        done = self.run_code(code, HOME=str(home))
        self.assertEqual(done.stdout, "mine.pth\nthere\n")

    def test_metadata_of_the_host_is_hidden(self):
        code = "import importlib.metadata as m; print(len(list(m.distributions())))"
        self.says("0\n", code, "-e", "app:main", "--isolated")
        self.assertNotEqual(self.run_code(code).stdout, "0\n")

    def test_host_is_seen_otherwise(self):
        self.assertIn("/usr/lib/python3/dist-packages", self.run_code(self.CODE).stdout)
        self.assertTrue(os.path.isdir("/usr/lib/python3/dist-packages"))
