"""haft build --from: archives of other tools, virtual environments and bundles become bundles that
do the same."""

import json
import os
import shutil
import subprocess

import support
from support import archives
from support.archives import damage
from support.demo import VENDORED, contents, demo_files, make

SECONDS = 40
# Console scripts of the demo that are no files of its environment.
OTHERS = {"Demo-Other", "demo-code"}


class FromCase(support.TestCase):
    def convert(self, file, *arguments, name="new", **options):
        output = support.unique_dir("new") / name
        done = support.haft("build", "--from", file, *arguments, "-o", output, **options)
        return (output, done) if options else output

    def run_bundle(self, bundle, *arguments, mode=None, **variables):
        with self.clean():
            return support.run([bundle, *arguments], mode=mode, env=support.clean_env(**variables))

    def venv(self):
        """A virtual environment with the demo, its console script as pip writes it, and a script of
        its own."""
        directory = support.unique_dir("venv") / "env"
        subprocess.run(
            [support.PYTHON, "-m", "venv", "--without-pip", directory],
            check=True,
            env=support.clean_env(),
        )
        site = next((directory / "lib").glob("python3.*")) / "site-packages"
        files = {
            name: content
            for name, content in {**demo_files(), **VENDORED}.items()
            if not name.startswith("bin/")
        }
        support.write_tree(site, files)
        for name, text in (
            ("demo", f"#!{directory}/bin/python3\nraise SystemExit('the wrapper')\n"),
            ("own", f"#!{directory}/bin/python3\nimport demo\nprint('own', demo.__file__)\n"),
        ):
            (directory / "bin" / name).write_text(text)
            (directory / "bin" / name).chmod(0o755)
        return directory


class TestFrom(FromCase):
    @support.parametrised(
        layout=["shiv", "pex", "pex-module", "zipapp", "stored", "wheel", "venv", "bundle"]
    )
    def test_does_what_the_original_does(self, layout, mode):
        arguments = []
        if layout == "venv":
            file, arguments = self.venv(), ["-c", "demo"]
        elif layout == "bundle":
            file = self.convert(make("shiv", support.unique_dir()), name="first")
        else:
            file = make(layout, support.unique_dir())
            arguments = ["-c", "demo"] if layout == "wheel" else []
        original = (
            support.run(
                [support.HAFT, "run", file, "a", "--b"],
                check=False,
                env=support.clean_env(HAFT_SCRIPT="demo"),
            )
            if layout != "venv"
            else None
        )
        new = self.convert(file, *arguments)
        if os.path.isdir(file):
            shutil.rmtree(file)
        else:
            file.unlink()  # nothing of it is needed any more
        done = self.run_bundle(new, "a", "--b", mode=mode)
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        found = json.loads(done.stdout)
        self.assertEqual(found["file"], "/run/haft/new/site-packages/demo/__init__.py")
        self.assertEqual(
            found["child"].split(),
            [
                "/run/haft/new/site-packages/demo/__init__.py",
                "/run/haft/new/site-packages/vendored/__init__.py",
            ],
        )
        if original is not None:
            expected = json.loads(original.stdout)
            for place in ("file", "child", "extension", "pth"):
                found.pop(place), expected.pop(place)
            self.assertEqual(found, expected)
        self.assertEqual(
            support.haft("ls", new, "site-packages/demo/__pycache__").stdout.split(),
            ["__init__.cpython-311.pyc", "cli.cpython-311.pyc"],
        )
        support.haft("verify", new)

    def test_scripts_of_bin(self, mode):
        new = self.convert(make("shiv-script", support.unique_dir()))
        done = self.run_bundle(new, "x", mode=mode)
        self.assertEqual(
            (done.stdout, done.stderr, done.returncode), ("tool ['x'] __main__\n", "", 0)
        )
        done = self.run_bundle(new, "x", mode=mode, HAFT_SCRIPT="tool.sh")
        self.assertEqual((done.stdout, done.returncode), ("shell x\n", 5))

    def test_scripts_of_a_virtual_environment(self):
        """Those written for a console script name its Python; the entry is what they stand for."""
        new = self.convert(self.venv(), "-c", "own")
        self.assertEqual(
            self.run_bundle(new).stdout, "own /run/haft/new/site-packages/demo/__init__.py\n"
        )
        done = support.run([support.HAFT, "exec", new, "demo"])
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        about = support.info(new)
        self.assertTrue(about["isolated"])
        self.assertNotIn("pip", [script["script"] for script in about["scripts"]])
        self.assertTrue(about["python"]["path"].startswith("/usr/bin/python3"), about["python"])

    def test_a_virtual_environment_loses_its_own_programs_only(self):
        """Whatever the names of others begin with; what is in share/ and etc/ stays too."""
        environment = self.venv()
        long = f"#!/bin/sh\n'''exec' \"{environment}/bin/python\" \"$0\" \"$@\"\n' '''\n"
        for name, text in {
            "activate-demo": "#!/bin/sh\necho activated\n",
            "python-demo": f"#!{environment}/bin/python3\nprint('python')\n",
            "pip-demo": f"{long}import demo\nprint(demo.__name__)\n",
            "pip3.11": "#!/bin/sh\n",
            "activate.csh": "#!/bin/sh\n",
        }.items():
            (environment / "bin" / name).write_text(text)
            (environment / "bin" / name).chmod(0o755)
        support.write_tree(environment, {"share/demo/a.txt": "a", "etc/demo.d/b.txt": "b"})
        new = self.convert(environment)
        names = {script["script"] for script in support.info(new)["scripts"]}
        self.assertEqual(
            names, {"demo", "own", "activate-demo", "python-demo", "pip-demo", *OTHERS}
        )
        shutil.rmtree(environment)
        for script, printed in (
            ("activate-demo", "activated\n"),
            ("python-demo", "python\n"),
            ("pip-demo", "demo\n"),
        ):
            self.assertEqual(self.run_bundle(new, HAFT_SCRIPT=script).stdout, printed)
        self.assertEqual(support.haft("ls", new, "share/demo").stdout, "a.txt\n")
        self.assertEqual(support.haft("ls", new, "etc/demo.d").stdout, "b.txt\n")

    def test_what_it_says_is_taken_over_unless_said_otherwise(self):
        directory = support.unique_dir()
        files = {
            "app.py": "import os, sys\n"
            "print(sys.argv[1:], os.environ.get('A'), sys.flags.optimize, "
            "sys.flags.no_user_site)\n",
            "other.py": "def main():\n    print('other')\n",
        }
        file = archives.pex(
            directory / "i.pex",
            files,
            python="/usr/bin/python3 -sOE",
            info={"entry_point": "app", "inject_args": ["--in"], "inject_env": {"A": "b"}},
        )
        new = self.convert(file)
        self.assertEqual(self.run_bundle(new, "x").stdout, "['--in', 'x'] b 1 1\n")
        about = support.info(new)
        self.assertEqual((about["isolated"], about["ignore_environment"]), (True, True))
        new = self.convert(file, "-e", "other:main")
        self.assertEqual(self.run_bundle(new).stdout, "other\n")
        new = self.convert(file, "--inject-env", "A=mine", "--inject-args=--mine")
        self.assertEqual(self.run_bundle(new).stdout, "['--mine'] mine 1 1\n")

    def test_preamble_and_build_id(self):
        directory = support.unique_dir()
        file = archives.shiv(
            directory / "p.pyz",
            {"app.py": "def main(): print('app')\n", "bin/hook.py": "print('hook')\n"},
            entry_point="app:main",
            environment={"preamble": "hook.py"},
        )
        new = self.convert(file)
        self.assertEqual(self.run_bundle(new).stdout, "hook\napp\n")
        self.assertEqual(support.info(new)["build_id"], "0123456789abcdef")
        again = self.convert(new, name="again")
        self.assertEqual(self.run_bundle(again).stdout, "hook\napp\n")

    def test_without_an_entry_it_is_an_interpreter(self):
        file = archives.write_zip(support.unique_dir() / "x.zip", {"mod.py": "X = 5\n"})
        new = self.convert(file)
        self.assertEqual(self.run_bundle(new, "-c", "import mod; print(mod.X)").stdout, "5\n")

    def test_more_inputs(self):
        directory = support.unique_dir()
        file = archives.zipapp(
            directory / "z.pyz", {"__main__.py": "import extra; print(extra.X)\n"}
        )
        support.write_tree(directory / "more", {"extra.py": "X = 'more'\n"})
        new = self.convert(file, "--site-packages", directory / "more")
        self.assertEqual(self.run_bundle(new).stdout, "more\n")

    def test_same_input_same_bytes(self):
        file = make("pex", support.unique_dir())
        first, second = (
            self.convert(file),
            self.convert(shutil.copy(file, support.unique_dir() / "elsewhere")),
        )
        self.assertEqual(first.read_bytes(), second.read_bytes())
        # A bundle made of a bundle is that bundle, but for its name.
        self.assertEqual(self.convert(first).read_bytes(), first.read_bytes())


class TestErrors(FromCase):
    def refused(self, file, *parts):
        before = contents(file if file.is_dir() else file.parent)
        output, done = self.convert(file, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertOneLine(done.stderr, f"'{file}'", *parts)
        self.assertEqual(os.listdir(output.parent), [])
        self.assertEqual(contents(file if file.is_dir() else file.parent), before)

    def test_damage_leaves_nothing(self):
        file = make("shiv", support.unique_dir())
        damage(file, "site-packages/demo/data/big.bin")
        output, done = self.convert(file, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, "big.bin", "damaged")
        self.assertEqual(os.listdir(output.parent), [])

    def test_hostile(self):
        self.refused(archives.write_zip(support.unique_dir() / "x.zip", {"../x": ""}), "'..'")

    def test_pex_that_needs_others(self):
        self.refused(
            archives.pex(support.unique_dir() / "x.pex", {}, info={"pex_path": "/other.pex"}),
            "other pex files",
        )

    def test_no_input(self):
        directory = support.unique_dir()
        self.refused(directory, "no virtual environment")
        (directory / "text").write_text("x")
        self.refused(directory / "text", "no zip archive")
        (directory / "pyvenv.cfg").write_text("home = /usr/bin\n")
        self.refused(directory, "site-packages")
