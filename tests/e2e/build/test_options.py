"""haft build with the options of shiv and pex: preamble, injected arguments and variables,
isolation, multi-call, pyproject.toml."""

import os
import pathlib

import support
from support.options import TOOL, OptionCase

SECONDS = 20


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
                "python": "dep ['/run/haft/x/bin/run-me', 'a']\n",
                "shell": "/run/haft/x/bin/run-me a\n",
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
        expected = "['/run/haft/isolated/site-packages'] False\nnone\n"
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
            f"pre __main__ {bundle} /run/haft/x/site-packages tool:show 7\n"
            f"{{'TEST_A': 'set'}} ['more'] 0\n",
            bundle,
        )
        self.says(
            f"pre __main__ {bundle} /run/haft/x/site-packages None 7\ndep\n",
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
