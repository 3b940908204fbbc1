"""haft run: archives in the layouts of shiv, pex, zipapp and wheels start without unpacking, and do
what the same files do in a plain directory."""

import json
import os
import pathlib
import shutil

import support
from support import archives
from support.archives import damage
from support.demo import (
    PLACES,
    VENDORED,
    WHEEL,
    contents,
    demo_files,
    make,
)

SECONDS = 40


class RunCase(support.TestCase):
    made = {}

    def archive(self, layout):
        if layout not in self.made:
            self.made[layout] = make(layout, support.unique_dir("archive"))
        return self.made[layout]

    def run_file(self, file, *arguments, mode=None, **variables):
        with self.clean():
            return support.run(
                [support.HAFT, "run", file, *arguments],
                mode=mode,
                env=support.clean_env(**variables),
            )

    def says(self, out, file, *arguments, mode=None, status=0, **variables):
        done = self.run_file(file, *arguments, mode=mode, **variables)
        self.assertEqual((done.stdout, done.stderr, done.returncode), (out, "", status))


class TestLayouts(RunCase):
    @support.parametrised(layout=["shiv", "pex", "pex-module", "zipapp", "stored", "wheel"])
    def test_does_what_a_plain_directory_does(self, layout, mode):
        file = self.archive(layout)
        plain = support.write_tree(
            support.unique_dir("plain"),
            {
                name: content[0] if isinstance(content, tuple) else content
                for name, content in {**demo_files(), **VENDORED}.items()
            },
        )
        expected = support.run(
            [support.PYTHON, "-B", "-m", "demo.cli", "a", "--b"],
            env=support.plain_environment(plain, support.clean_env()),
        )
        self.assertEqual(expected.returncode, 3, expected.stderr)
        variables = {"HAFT_SCRIPT": "demo"} if layout == "wheel" else {}
        done = self.run_file(file, "a", "--b", mode=mode, **variables)
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        mount = f"/run/haft/{file.name}"
        ours = done.stdout
        for place in {
            PLACES[layout],
            PLACES[layout].replace(WHEEL, "vendored-2.0-py3-none-any.whl"),
        }:
            ours = ours.replace(os.path.join(mount, place).rstrip("/") + "/", f"{plain}/")
        self.assertEqual(json.loads(ours), json.loads(expected.stdout))

    def test_no_file_appears(self, mode):
        places = {name: support.unique_dir(name, mode=0o777) for name in ("home", "tmp", "cwd")}
        file = self.archive("shiv")
        beside = contents(file.parent)
        env = support.clean_env(HOME=str(places["home"]), TMPDIR=str(places["tmp"]))
        top = sorted(os.listdir("/"))
        with self.clean():
            done = support.run(
                [support.HAFT, "run", file, "x"], mode=mode, env=env, cwd=places["cwd"]
            )
        self.assertEqual(done.returncode, 3, done.stderr)
        for place in places.values():
            self.assertEqual(os.listdir(place), [])
        self.assertEqual(contents(file.parent), beside)
        self.assertEqual(sorted(os.listdir("/")), top)

    def test_bin_script_ending_normally_is_success(self, mode):
        """shiv printed the script's globals and exited with 1."""
        self.says("tool ['a', '%d'] __main__\n", self.archive("shiv-script"), "a", "%d", mode=mode)

    @support.parametrised(layout=["shiv", "pex", "zipapp"])
    def test_path_order(self, layout):
        """Standard library, archive, the user's PYTHONPATH, host; a pex does not see the host."""
        file = self.archive(layout)
        user = support.unique_dir("user")
        done = self.run_file(
            file,
            "-c",
            "import sys, json; print(json.dumps(sys.path))",
            HAFT_INTERPRETER="1",
            PYTHONPATH=str(user),
        )
        path = json.loads(done.stdout)
        library, ours = (
            path.index("/usr/lib/python3.11"),
            path.index(os.path.join(f"/run/haft/{file.name}", PLACES[layout]).rstrip("/")),
        )
        self.assertLess(library, ours)
        self.assertLess(ours, path.index(str(user)))
        if layout == "pex":
            self.assertNotIn("/usr/lib/python3/dist-packages", path)
        else:
            self.assertLess(path.index(str(user)), path.index("/usr/lib/python3/dist-packages"))

    @support.parametrised(haft_mode=["fusermount", "extract"])
    def test_files_put_elsewhere(self, haft_mode):
        """The other modes : paths of the host."""
        with self.clean(timeout=5, quiet_host=False):
            done = support.run(
                [support.HAFT, "run", self.archive("shiv"), "a"],
                env=support.clean_env(HAFT_MODE=haft_mode),
            )
        self.assertEqual(done.returncode, 3, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual((found["arguments"], found["doubled"]), (["a"], [2, 4, 6]))
        self.assertNotRegex(found["file"], r"^/run/haft/[^/]*\.pyz/")
        self.assertFalse(os.path.exists(found["file"]))

    def test_arguments_are_the_programs(self):
        file = self.archive("zipapp")
        for arguments in (["--help"], ["-p", "x"], ["--", "-c"], ["--version"], [""]):
            done = self.run_file(file, *arguments)
            self.assertEqual(json.loads(done.stdout)["arguments"], arguments)

    def test_damaged_entry_is_an_error_of_who_needs_it(self, mode):
        directory = support.unique_dir()
        file = archives.zipapp(
            directory / "d.pyz",
            {
                "__main__.py": "import good, sys\ntry:\n    import bad\n"
                "except OSError as e: print(e.errno, good.X)\n",
                "good.py": "X = 'good'\n",
                "bad.py": "X = 1\n" * 1000,
            },
            compressed=False,
        )
        damage(file, "bad.py")
        self.says("5 good\n", file, mode=mode)


class TestExit(RunCase):
    STATUSES = {
        "result = None": 0,
        "result = 0": 0,
        "result = 3": 3,
        "raise SystemExit(257)": 1,
        "os._exit(9)": 9,
        "raise SystemExit": 0,
        "os.abort()": -6,
    }

    @support.parametrised(layout=["shiv", "pex", "wheel"])
    def test_status_is_the_programs(self, layout):
        variable = {"shiv": "SHIV_ENTRY_POINT", "pex": "PEX_MODULE", "wheel": "HAFT_ENTRY_POINT"}[
            layout
        ]
        for code, status in self.STATUSES.items():
            with self.clean():
                done = support.run(
                    [support.HAFT, "run", self.archive(layout), code],
                    preexec_fn=support.no_core,
                    env=support.clean_env(**{variable: "demo.cli:code"}),
                )
            self.assertEqual((done.returncode, done.stdout, done.stderr), (status, "", ""), code)

    def test_text_and_traceback(self):
        done = self.run_file(
            self.archive("shiv"), "result = 'text'", SHIV_ENTRY_POINT="demo.cli:code"
        )
        self.assertEqual((done.returncode, done.stderr), (1, "text\n"))
        done = self.run_file(self.archive("shiv"), "1/0", SHIV_ENTRY_POINT="demo.cli:code")
        self.assertEqual(done.returncode, 1)
        self.assertIn('File "/run/haft/demo.pyz/site-packages/demo/cli.py"', done.stderr)

    def test_zipapp_main(self):
        """What python -m zipapp -m pkg:function writes drops the value; so does Python."""
        directory = support.unique_dir()
        file = archives.zipapp(
            directory / "m.pyz",
            {"__main__.py": "import app\napp.main()\n", "app.py": "def main(): return 3\n"},
        )
        plain = support.run([support.PYTHON, file])
        self.says(plain.stdout, file, status=plain.returncode)
        file = archives.zipapp(
            directory / "e.pyz",
            {"__main__.py": "import sys\nprint(sys.argv, __name__)\nsys.exit(7)\n"},
        )
        plain = support.run([support.PYTHON, file, "a"])
        self.says(plain.stdout, file, "a", status=7)

    def test_spawned_children_do_not_run_a_zipapp_again(self):
        """Its __main__.py has no guard against that: pex#1236."""
        directory = support.unique_dir()
        file = archives.zipapp(
            directory / "s.pyz",
            {
                "__main__.py": "import app\napp.main()\n",
                "app.py": "import multiprocessing\ndef f(x): return -x\ndef main():\n"
                "    print('main')\n"
                "    with multiprocessing.get_context('spawn').Pool(1) as p: print(p.map(f, "
                "[1]))\n",
            },
        )
        self.says("main\n[-1]\n", file)

    @support.parametrised(what=["hostile", "missing", "text", "directory"])
    def test_what_cannot_be_started_is_125_and_one_line(self, what):
        directory = support.unique_dir()
        file = {
            "hostile": lambda: archives.write_zip(directory / "x.zip", {"../x": ""}),
            "missing": lambda: directory / "x",
            "text": lambda: pathlib.Path("/etc/passwd"),
            "directory": lambda: directory,
        }[what]()
        done = self.run_file(file)
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertOneLine(done.stderr, f"'{file}'")
        self.assertEqual(done.stderr.count(f"'{file}'"), 1)

    def test_nothing_to_run(self):
        directory = support.unique_dir()
        done = self.run_file(archives.write_zip(directory / "x.zip", {"a.txt": ""}))
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "no entry", "HAFT_ENTRY_POINT")


class TestVariables(RunCase):
    OTHER = "other ['a'] ['HAFT_BUNDLE']\n"

    @support.parametrised(
        choice=[
            "shiv SHIV_ENTRY_POINT=demo.cli:other",
            "shiv SHIV_ENTRY_POINT=demo.cli.other",
            "shiv SHIV_MODULE=demo.cli:other",
            "shiv SHIV_CONSOLE_SCRIPT=Demo-Other",
            "pex PEX_MODULE=demo.cli:other",
            "pex PEX_SCRIPT=Demo-Other",
            "shiv HAFT_SCRIPT=Demo-Other",
            "zipapp HAFT_ENTRY_POINT=demo.cli:other",
            "wheel HAFT_SCRIPT=Demo-Other",
        ]
    )
    def test_other_entry_for_one_start(self, choice):
        layout, assignment = choice.split()
        name, value = assignment.split("=")
        self.says(self.OTHER, self.archive(layout), "a", **{name: value})

    @support.parametrised(
        choice=["shiv SHIV_INTERPRETER", "pex PEX_INTERPRETER", "zipapp HAFT_INTERPRETER"]
    )
    def test_interpreter(self, choice, mode):
        layout, variable = choice.split()
        file = self.archive(layout)
        self.says(
            "1 ['-c', 'x']\n",
            file,
            "-c",
            "import demo, sys; print(1, sys.argv)",
            "x",
            mode=mode,
            **{variable: "1"},
        )
        done = self.run_file(file, "-m", "demo.cli", "y", mode=mode, **{variable: "1"})
        self.assertEqual((done.returncode, json.loads(done.stdout)["arguments"]), (3, ["y"]))
        for off in ("0", ""):
            done = self.run_file(file, "z", mode=mode, **{variable: off})
            self.assertEqual((done.returncode, json.loads(done.stdout)["arguments"]), (3, ["z"]))

    def test_variables_of_the_other_tool_mean_nothing(self):
        done = self.run_file(self.archive("zipapp"), "z", SHIV_INTERPRETER="1", PEX_INTERPRETER="1")
        self.assertEqual(json.loads(done.stdout)["arguments"], ["z"])

    def test_unknown_script_lists_those_there_are(self):
        done = self.run_file(self.archive("shiv"), HAFT_SCRIPT="Demo-Othr")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "'Demo-Other'", "'demo'", "did you mean")

    def test_pex_arguments_and_environment(self):
        directory = support.unique_dir()
        file = archives.pex(
            directory / "i.pex",
            {"app.py": "import os, sys; print(sys.argv[1:], os.environ['A'])\n"},
            info={"entry_point": "app", "inject_args": ["--in", "x"], "inject_env": {"A": "b c"}},
        )
        self.says("['--in', 'x', 'mine'] b c\n", file, "mine")

    def test_shiv_preamble(self):
        directory = support.unique_dir()
        file = archives.shiv(
            directory / "p.pyz",
            {
                "app.py": "def main(): print('app')\n",
                "bin/hook.py": "print('hook', site_packages)\n",
            },
            entry_point="app:main",
            environment={"preamble": "hook.py"},
        )
        self.says("hook /run/haft/p.pyz/site-packages\napp\n", file)

    def test_pex_with_wheels_inside(self, mode):
        """pex --no-pre-install-wheels: archives in the archive."""
        directory = support.unique_dir()
        main = "import data_part\ndef main(): print('inner', __file__, data_part.__file__)\n"
        wheel = archives.wheel(
            directory / "w.whl",
            "inner",
            {"inner.py": main, "inner-1.0.data/purelib/data_part.py": ""},
            scripts={"inner": "inner:main"},
        )
        name = "inner-1.0-py3-none-any.whl"
        file = archives.pex(
            directory / "n.pex", {}, {name: wheel.read_bytes()}, info={"script": "inner"}
        )
        place = f"/run/haft/n.pex/.deps/{name}"
        self.says(
            f"inner {place}/inner.py {place}/inner-1.0.data/purelib/data_part.py\n", file, mode=mode
        )
        damage(wheel, "inner.py")
        file = archives.pex(
            directory / "d.pex", {}, {name: wheel.read_bytes()}, info={"script": "inner"}
        )
        done = self.run_file(file, mode=mode)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Input/output error", done.stderr)
        file = archives.pex(directory / "t.pex", {}, {name: b"no wheel"}, info={"script": "inner"})
        done = self.run_file(file, mode=mode)
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, name, "not a zip archive")


class TestPython(RunCase):
    SHOW = "import sys; print(sys.executable, sys.flags.no_user_site, sys.flags.optimize)"

    def archive_for(self, python):
        return archives.zipapp(
            support.unique_dir() / "p.pyz", {"__main__.py": self.SHOW}, python=python
        )

    def test_of_the_first_line(self):
        link = support.unique_dir() / "python3-mine"
        link.symlink_to(support.PYTHON)
        self.says(f"{link} 0 0\n", self.archive_for(str(link)))
        self.says(f"{link} 1 1\n", self.archive_for(f"{link} -sOE"))
        self.says(
            f"{link} 0 0\n",
            self.archive_for("/usr/bin/env python3-mine"),
            PATH=f"{link.parent}:/usr/bin:/bin",
        )

    @support.parametrised(line=["/no/such/python3", "/usr/bin/env python3.99", "/bin/sh", ""])
    def test_of_the_host_if_the_first_line_is_no_use(self, line):
        self.says("/usr/bin/python3 0 0\n", self.archive_for(line))

    def test_asked_for(self):
        link = support.unique_dir() / "python3-mine"
        link.symlink_to(support.PYTHON)
        file = self.archive_for("/usr/bin/python3")
        self.says(f"{link} 0 0\n", file, HAFT_PYTHON=str(link))
        with self.clean():
            done = support.run([support.HAFT, "run", "-p", link, file])
        self.assertEqual(done.stdout, f"{link} 0 0\n", done.stderr)
        done = self.run_file(file, HAFT_PYTHON="/no/such")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "/no/such")


class TestBundles(RunCase):
    def test_without_execute_bit(self, mode):
        directory = support.unique_dir()
        file = directory / "lab"
        shutil.copyfile(support.lab(), file)
        self.says(
            "['%s', \"print(sys.argv)\"]\n".replace('"', "'") % file,
            file,
            "print(sys.argv)",
            mode=mode,
        )

    def test_archive_under_any_name(self, mode):
        """The name of the mount is made of it; sys.argv[0] is what was typed."""
        directory = support.unique_dir()
        for name in ("a b", "ü.pyz", "-x", "." + "n" * 200, os.fsdecode(b"\xff\xfe")):
            file = archives.zipapp(
                directory / os.fsencode(name).decode("utf-8", "surrogateescape"),
                {
                    "__main__.py": "import sys, os\n"
                    "print(os.fsencode(sys.argv[0]), __file__.isascii())\n"
                },
            )
            self.says(f"{os.fsencode(file)} True\n", file, mode=mode)
