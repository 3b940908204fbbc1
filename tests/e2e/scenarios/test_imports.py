"""Scenarios 6, 7 and 8: what Python finds, in which order, and under which flags, as in a plain
directory."""

import os
import shutil

import support
from support.scenario_trees import CHILD, NAMESPACES, ONE, TWO

SECONDS = 30


BOTH = support.Both("order", [ONE, TWO], "-e", "probe:main")
WORKERS = support.Both("workers", [ONE, TWO], "-e", "mp:main")


class TestNamespaces(support.ScenarioCase):
    """Scenario 6."""

    def test_program(self, mode):
        said = self.same(BOTH, NAMESPACES, mode=mode)
        self.assertIn("old two SITE/old/two.py\n", said)
        self.assertIn("declared two SITE/declared/two.py\n", said)
        self.assertIn("modern three SITE/later/modern/three.py\n", said)
        self.assertTrue(said.endswith("True True False SITE/old\n"), said)

    def test_child(self, mode):
        said = self.same(BOTH, CHILD.format(code=NAMESPACES), mode=mode)
        self.assertTrue(said.endswith("True True False SITE/old\n"), said)

    def test_workers_of_every_kind(self, mode):
        said = self.same(WORKERS, NAMESPACES, mode=mode)
        self.assertEqual(said.count("True True False SITE/old\n"), 3, said)


class TestBrokenPth(support.TestCase):
    def test_pth_file_that_is_no_text_ends_the_start(self, mode):
        """An installed Python does not start then; the bundle ran on with half a path and ended
        with 0."""
        tree = support.write_tree(
            support.unique_dir("broken"), {**support.PROBE, "bad.pth": b"\xfc\n"}
        )
        bundle = support.build(
            tree,
            "-e",
            "probe:main",
            "--no-profile",
            output=support.unique_dir("broken-out") / "broken",
        )
        with self.clean():
            done = support.run([bundle, "print('ran')"], mode=mode)
        self.assertEqual((done.stdout, done.returncode), ("", 125))
        self.assertOneLine(
            done.stderr, "'/run/haft/broken/site-packages'", "UnicodeDecodeError", "remove"
        )


class TestOrder(support.ScenarioCase):
    """Scenario 7."""

    CODE = (
        "import sys, argparse, uuid, enum, dep\n"
        "print(argparse.__file__, uuid.__file__, enum.__file__, dep.__file__, dep.WHERE)\n"
    )

    def home(self):
        """A home directory with a user site that has an older `dep` and a module of its own."""
        home = support.unique_dir("home", 0o755)
        support.write_tree(
            home / ".local/lib/python3.11/site-packages",
            {
                "dep.py": "WHERE = 'user site'\n",
                "only_user.py": "",
                "user.pth": "import only_user\n",
            },
        )
        return support.clean_env(HOME=str(home))

    def test_library_then_bundle_then_user_site(self, mode):
        code = self.CODE + "import only_user; print(only_user.__name__)\n"
        for form in ("{code}", CHILD):
            text = code if form == "{code}" else form.format(code=code)
            said = self.same(BOTH, text, mode=mode, env=self.home())
            library = "/usr/lib/python3.11"
            self.assertEqual(
                said,
                f"{library}/argparse.py {library}/uuid.py {library}/enum.py SITE/dep.py bundle\n"
                "only_user\n",
            )

    def test_bundle_before_the_hosts_packages(self, mode):
        """A package of the bundle that the host has too."""
        own = support.Both(
            "newer",
            {**support.PROBE, "jinja2/__init__.py": "__version__ = 'ours'\n"},
            "-e",
            "probe:main",
        )
        code = (
            "import jinja2, markupsafe; print(jinja2.__version__, jinja2.__file__, "
            "markupsafe.__file__)"
        )
        said = self.same(own, code, mode=mode)
        self.assertEqual(
            said,
            "ours SITE/jinja2/__init__.py /usr/lib/python3/dist-packages/markupsafe/__init__.py\n",
        )
        self.same(own, CHILD.format(code=code), mode=mode)

    def test_whole_path(self, mode):
        """sys.path, entry by entry. The script's own directory is in front."""
        code = "import sys; print('\\n'.join(sys.path))"
        self.assertIn("SITE\nSITE/later\nSITE/sub/deeper\n", self.same(BOTH, code, mode=mode))
        self.assertIn(
            "SITE\nSITE/later\nSITE/sub/deeper\n",
            self.same(BOTH, CHILD.format(code=code), mode=mode),
        )


class TestIsolated(support.ScenarioCase):
    """Scenario 7, isolated: as in a virtual environment that does not see the host's packages."""

    BOTH = support.Both("isolated", [ONE, TWO], "-e", "probe:main", "--isolated")
    CODE = (
        "import sys, argparse, dep, by_line, modern.two\n"
        "print(argparse.__file__, dep.WHERE, by_line.NAME, modern.two.NAME)\n"
        "print(*sys.path, sep='\\n')\n"
        "for name in ('jinja2', 'pkg_resources', 'pip', 'only_user'):\n"
        "    try: print(__import__(name))\n"
        "    except ImportError as error: print(error)\n"
    )

    def test_program_and_child(self, mode):
        for text in (self.CODE, CHILD.format(code=self.CODE)):
            said = self.same(self.BOTH, text, mode=mode, env=TestOrder.home(self))
            self.assertEqual(said.count("No module named"), 4, said)
            self.assertNotIn("dist-packages", said)

    def test_name_spaces(self):
        said = self.same(self.BOTH, NAMESPACES, mode=support.MODES[-1])
        self.assertIn("old two SITE/old/two.py\n", said)


class TestFlags(support.ScenarioCase):
    """Scenario 8: variables of Python. Options of Python (-I, -E, …) are in
    test_scenario_entries."""

    CODE = (
        "import sys, dep, enum, warnings\n"
        "print(sys.flags, sys.warnoptions, sys.dont_write_bytecode, sys.pycache_prefix, "
        "sys._xoptions)\n"
        "print(dep.__file__, enum.__file__, __debug__)\n"
        "print(sys.stdout.encoding, sys.stdout.line_buffering, sys.stdin.errors)\n"
    )

    @support.parametrised(
        variable=[
            "PYTHONSAFEPATH=1",
            "PYTHONNOUSERSITE=1",
            "PYTHONDONTWRITEBYTECODE=1",
            "PYTHONOPTIMIZE=1",
            "PYTHONOPTIMIZE=2",
            "PYTHONUNBUFFERED=1",
            "PYTHONUTF8=1",
            "PYTHONIOENCODING=latin-1:replace",
            "PYTHONHASHSEED=7",
            "PYTHONDEVMODE=1",
            "PYTHONWARNINGS=error",
            "PYTHONWARNDEFAULTENCODING=1",
            "PYTHONTRACEMALLOC=1",
            "PYTHONFAULTHANDLER=1",
            "PYTHONPYCACHEPREFIX=/nonexistent/cache",
            "PYTHONBREAKPOINT=0",
            "PYTHONSTARTUP=/nonexistent",
            "PYTHONNODEBUGRANGES=1",
            "PYTHONMALLOC=debug",
            "PYTHONCASEOK=1",
            "PYTHONCOERCECLOCALE=0",
            "PYTHONINTMAXSTRDIGITS=0",
            "PYTHONLEGACYWINDOWSSTDIO=1",
            "LC_ALL=C",
            "LC_ALL=POSIX",
        ]
    )
    def test_variable(self, variable):
        name, _, value = variable.partition("=")
        said = self.same(
            BOTH, self.CODE, mode=support.MODES[-1], env=support.clean_env(**{name: value})
        )
        self.assertIn("SITE/dep.py", said)

    def test_import_times_name_the_bundles_modules(self, mode):
        """-X importtime lists what the program imports; the lists are those of the plain
        directory."""
        env = support.clean_env(PYTHONPROFILEIMPORTTIME="1")
        with self.clean():
            done = support.run([BOTH.bundle, "import dep, old.two"], mode=mode, env=env, check=True)
        plain = support.run([BOTH.plain, "import dep, old.two"], mode=mode, env=env, check=True)

        def modules(text):
            return [
                line.rpartition("|")[2].strip()
                for line in text.splitlines()
                if line.startswith("import time:")
            ]

        ours, theirs = modules(done.stderr), modules(plain.stderr)
        self.assertLessEqual({"dep", "old.two", "probe"}, set(ours))
        self.assertLessEqual(set(theirs) - set(ours), {"_distutils_hack"}, "missing in the bundle")
        own = {name for name in ours if name.startswith("_haft") or name == "sitecustomize"}
        self.assertEqual(set(ours) - set(theirs) - own, set(), "only in the bundle")

    @support.parametrised(
        name=[
            "enum",
            "os",
            "site",
            "sitecustomize_",
            "encodings",
            "types",
            "_haft_bundle",
            "_haft",
            "importlib",
            "runpy",
            "warnings",
            "io",
        ]
    )
    def test_fake_module_in_PYTHONPATH_does_not_reach_the_start(self, name):
        """What haft's own start imports is never taken from the user's PYTHONPATH. Python's own
        start does that with `encodings`, in a plain directory as well; there the outcome is the
        same."""
        evil = support.write_tree(
            support.unique_dir("evil"), {f"{name}.py": "raise SystemExit('evil ran')\n"}
        )
        env = support.clean_env(PYTHONPATH=str(evil))
        with self.clean():
            done = support.run(
                [BOTH.bundle, "import dep; print(dep.WHERE)"], mode=support.MODES[-1], env=env
            )
        plain = support.run([support.PYTHON, "-c", "print('bundle')"], env=env)
        if plain.returncode == 0:
            self.assertEqual((done.stdout, done.stderr, done.returncode), ("bundle\n", "", 0))
        else:
            self.assertNotEqual(done.returncode, 0)
            self.assertTrue(done.stderr)

    def test_nothing_is_written(self, mode):
        """No byte code in HOME, the working directory or beside the bundle, whatever the variables
        say."""
        place = support.unique_dir("written", 0o777)
        bundle = place / "order"
        shutil.copy(BOTH.bundle, bundle)
        for name in ("home", "cache", "cwd", "tmp"):
            (place / name).mkdir()
            (place / name).chmod(0o777)
        env = support.clean_env(
            HOME=f"{place}/home",
            PYTHONPYCACHEPREFIX=f"{place}/cache",
            TMPDIR=f"{place}/tmp",
            XDG_CACHE_HOME=f"{place}/cache",
            XDG_RUNTIME_DIR=f"{place}/tmp",
        )
        code = "import dep, old.one, old.two, by_line; print(dep.WHERE)"
        with self.clean():
            done = support.run([bundle, code], mode=mode, env=env, cwd=place / "cwd", check=True)
        self.assertEqual(done.stdout, "bundle\n")
        found = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
        # PYTHONPYCACHEPREFIX is a wish to write byte code there: the user's, with any Python
        # program.
        self.assertEqual(
            [path for path in found if not path.startswith("cache/")],
            ["cache", "cwd", "home", "order", "tmp"],
        )


class TestHostPath(support.ScenarioCase):
    """What the user's PYTHONPATH offers is behind the bundle, in children too."""

    def test_users_modules_are_found(self, mode):
        other = support.write_tree(
            support.unique_dir("user"), {"dep.py": "WHERE = 'user'\n", "mine.py": "N = 5\n"}
        )
        code = "import dep, mine; print(dep.WHERE, mine.N)"
        for text in (code, CHILD.format(code=code)):
            with self.clean():
                done = support.run(
                    [BOTH.bundle, text],
                    mode=mode,
                    check=True,
                    env=support.clean_env(PYTHONPATH=os.fspath(other)),
                )
            self.assertEqual((done.stdout, done.stderr), ("bundle 5\n", ""))
