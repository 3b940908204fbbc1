"""Scenarios 1 to 5: what is run, and how it ends, compared with the scripts and the interpreter of
an installation. More: test_exit, test_entries."""

import pathlib

import support

SECONDS = 25

FILES = {
    "tool.py": """\
import os
import sys

def main():
    print("main", sys.argv)

def value():
    return eval(sys.argv[1], {"os": os, "sys": sys, "raises": raises})

def raises(error):
    raise error

class Group:
    class Inner:
        @classmethod
        def call(cls):
            print(cls.__qualname__, sys.argv[1:])
            return "text as status"

if __name__ == "__main__":
    print("as a module", sys.argv, __package__, __spec__.name)
    sys.exit(3)
""",
    "pkg/__init__.py": "",
    "pkg/mod.py": "import sys\nprint(__name__, sys.argv, __package__, __file__)\n",
    "pkg/__main__.py": "import sys\nprint(__name__, sys.argv, __package__, __file__)\n"
    "sys.exit(6)\n",
    "dep.py": "NAME = 'dep'\n",
    "Tool_Box-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: Tool.Box\nVersion: 1.0\n"
    "Provides-Extra: fast\n",
    "Tool_Box-1.0.dist-info/RECORD": "",
    # As they are in the wild: extras, spaces, capital letters, comments, a percent sign, other
    # groups around it.
    "Tool_Box-1.0.dist-info/entry_points.txt": """\
# made by hand
[gui_scripts]
window = tool:main

[console_scripts]
tool = tool:main [fast]
Tool-Mixed=tool:main[fast,slow]
rate = tool:main
  100%d = tool:value
value = tool:value
 = tool:main
dotted.name_1 = tool : Group.Inner.call

[pytest11]
tool = tool
""",
    "bin/ends": "#!python\nimport sys, dep\nprint(dep.NAME, sys.argv[1:], __name__)\n",
    "bin/status": "#!python\nimport sys\nsys.exit(4)\n",
    "bin/raises": "#!python\nraise ValueError('of a script')\n",
    "bin/text": "#!python\nimport sys\nsys.exit('a message')\n",
    "bin/shell": '#!/bin/sh\nname=${0##*/}; echo "$name $# $2"; exit 3\n',
    "bin/perlish": '#!/usr/bin/env -S sh -u\necho "$1"\n',
    "bin/local": "#!python\nimport beside, sys\n"
    "print(beside.X, sys.argv[0], __file__, sys.path[0])\n",
    "bin/beside.py": "X = 'beside'\n",
}


def with_modes(files):
    """The tree, its bin/ executable."""
    tree = support.write_tree(support.unique_dir("entries"), files)
    for path in (tree / "bin").iterdir():
        path.chmod(0o755)
    (tree / "bin/elf").write_bytes(pathlib.Path("/usr/bin/printf").read_bytes())
    (tree / "bin/elf").chmod(0o755)
    return tree


_TREES = []
_BOTH = {}


def both(*entry):
    """The program `tool` with this entry."""
    if entry not in _BOTH:
        if not _TREES:
            _TREES.append(with_modes(FILES))
        _BOTH[entry] = support.Both("tool", _TREES[0], *entry)
    return _BOTH[entry]


class TestEndings(support.ScenarioCase):
    """Scenario 1: console scripts and modules; the rest is in test_exit."""

    @support.parametrised(
        value=[
            "None|0",
            "0|0",
            "3|3",
            "'text'|1",
            "raises(SystemExit(257))|1",
            "raises(KeyError(1))|1",
            "os._exit(9)|9",
            "os.abort()|-6",
            "256|0",
            "-1|255",
            "[1]|1",
            "True|1",
            "2.5|1",
            "raises(KeyboardInterrupt)|-2",
            "raises(BaseException('x'))|1",
            "sys.exit('bye')|1",
            "b'bytes'|1",
            "2**70|255",
            "raises(SystemExit(None))|0",
            "raises(SystemExit(1, 2))|1",
        ]
    )
    def test_value(self, value):
        text, status = value.split("|")
        for mode in support.MODES:
            self.same(
                both("-c", "value"), text, mode=mode, status=int(status), preexec_fn=support.no_core
            )

    def test_module(self, mode):
        said = self.same(both("-m", "tool"), "a", mode=mode, status=3)
        self.assertEqual(said, "as a module ['SITE/tool.py', 'a']  tool\n")

    def test_package(self, mode):
        said = self.same(both("-m", "pkg"), "a", mode=mode, status=6)
        self.assertEqual(said, "__main__ ['SITE/pkg/__main__.py', 'a'] pkg SITE/pkg/__main__.py\n")


class TestScripts(support.ScenarioCase):
    """Scenarios 2 and 3."""

    @support.parametrised(name=["tool|0", "Tool-Mixed|0", "rate|0", "dotted.name_1|1", "100%d|0"])
    def test_console_script(self, name, mode):
        name, status = name.split("|")
        argument = "print('evaluated')" if name == "100%d" else "--version"
        said = self.same(both("-c", name), argument, mode=mode, status=int(status))
        self.assertIn(
            {"100%d": "evaluated\n", "dotted.name_1": "Group.Inner ['--version']\n"}.get(
                name, "main ['PROGRAM', '--version']\n"
            ),
            said,
        )

    def test_script_without_a_name_does_not_spoil_the_bundle(self, mode):
        """A line "= tool:main" made a manifest that every start refused. (FILES has one; this is
        about one alone.)"""
        tree = support.write_tree(
            support.unique_dir("nameless"),
            {
                "tool.py": "def main(): print('main')\n",
                "tool-1.dist-info/entry_points.txt": "[console_scripts]\n = tool:main\n=\n"
                "tool = tool:main\n",
            },
        )
        bundle = support.build(
            tree, "-c", "tool", output=support.unique_dir("nameless-out") / "tool"
        )
        with self.clean():
            done = support.run([bundle], mode=mode)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("main\n", "", 0))

    @support.parametrised(
        script=[
            "ends|0",
            "status|4",
            "raises|1",
            "text|1",
            "shell|3",
            "perlish|0",
            "local|0",
            "elf|0",
        ]
    )
    def test_file_of_bin(self, script, mode):
        name, status = script.split("|")
        arguments = ["%s-%s\\n", "b c"] if name == "elf" else ["a", "b c"]
        said = self.same(both("-c", name), *arguments, mode=mode, status=int(status))
        self.assertEqual(
            said,
            {
                "ends": "dep ['a', 'b c'] __main__\n",
                "shell": "shell 2 b c\n",
                "perlish": "a\n",
                "local": "beside BIN/local BIN/local BIN\n",
                "elf": "b c-\n",
            }.get(name, ""),
        )


class TestOverrides(support.ScenarioCase):
    """Scenario 4: changed for one start, and then as if it had been built so."""

    @support.parametrised(
        what=[
            "HAFT_SCRIPT=value|-c value",
            "HAFT_SCRIPT=ends|-c ends",
            "HAFT_SCRIPT=100%d|-c 100%d",
            "HAFT_SCRIPT=shell|-c shell",
            "HAFT_ENTRY_POINT=tool:value|-e tool:value",
            "HAFT_ENTRY_POINT=pkg|-m pkg",
            "HAFT_ENTRY_POINT=tool|-m tool",
            "HAFT_ENTRY_POINT=tool:Group.Inner.call|-e tool:Group.Inner.call",
        ]
    )
    def test_as_if_built_so(self, what, mode):
        variable, entry = what.split("|")
        name, _, value = variable.partition("=")
        other = both(*entry.split())
        built = both("-c", "tool")
        with self.clean():
            ours = support.run(
                [built.bundle, "7", "x"], mode=mode, env=support.clean_env(**{name: value})
            )
        theirs = support.run([other.plain, "7", "x"], mode=mode)
        self.assertEqual(built.outcome(ours), other.outcome(theirs))

    @support.parametrised(
        variable=[
            "HAFT_SCRIPT=nothing",
            "HAFT_ENTRY_POINT=nothing:main",
            "HAFT_ENTRY_POINT=tool:nothing",
            "HAFT_ENTRY_POINT=tool:",
            "HAFT_SCRIPT=../../etc/passwd",
            "HAFT_SCRIPT=bin/ends",
            "HAFT_PYTHON=/nonexistent",
        ]
    )
    def test_unknown(self, variable, mode):
        name, _, value = variable.partition("=")
        with self.clean():
            done = support.run(
                [both("-c", "tool").bundle, "x"], mode=mode, env=support.clean_env(**{name: value})
            )
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr)
        if value == "nothing":
            for known in ("tool", "Tool-Mixed", "ends", "shell"):
                self.assertIn(known, done.stderr)

    @support.parametrised(
        variable=["HAFT_SCRIPT", "HAFT_ENTRY_POINT", "HAFT_INTERPRETER", "HAFT_PYTHON"]
    )
    def test_off(self, variable):
        for value in ("", "0"):
            self.same(
                both("-c", "tool"),
                "x",
                mode=support.MODES[-1],
                env=support.clean_env(**{variable: value}),
            )

    def test_children_do_not_see_them(self, mode):
        code = (
            "__import__('subprocess').run(['sh', '-c', 'env | grep -c -e HAFT_SCRIPT -e "
            "HAFT_ENTRY -e HAFT_INTERP "
            "-e HAFT_PYTHON'])"
        )
        env = support.clean_env(
            HAFT_SCRIPT="value", HAFT_INTERPRETER="0", HAFT_PYTHON=support.PYTHON
        )
        with self.clean():
            done = support.run([both("-c", "tool").bundle, code], mode=mode, env=env)
        self.assertIn("0\n", done.stdout)


class TestInterpreter(support.ScenarioCase):
    """Scenarios 5 and 8: HAFT_INTERPRETER=1 is the interpreter of the installation, with all its
    options."""

    def python(self, *arguments, mode=None, status=0, compare=True, **options):
        pair = both("-c", "tool")
        env = options.pop("env", support.clean_env())
        with self.clean():
            ours = support.run(
                [pair.bundle, *arguments],
                mode=mode,
                env={**env, "HAFT_INTERPRETER": "1"},
                **options,
            )
        theirs = support.run(
            [pair.plain.with_name("python3"), *arguments], mode=mode, env=env, **options
        )
        if compare:
            self.assertEqual(
                pair.outcome(ours),
                pair.outcome(theirs),
                "the bundle (first) differs from Python (second)",
            )
        self.assertEqual(ours.returncode, status, ours.stderr)
        return pair.normal(ours.stdout)

    def test_code(self, mode):
        said = self.python(
            "-c", "import dep, sys; print(dep.__file__, sys.argv)", "-x", "y", mode=mode
        )
        self.assertEqual(said, "SITE/dep.py ['-c', '-x', 'y']\n")

    def test_path_under_the_mount(self, mode):
        with self.clean():
            done = support.run(
                [both("-c", "tool").bundle, "-c", "import dep; print(dep.__file__)"],
                mode=mode,
                env=support.clean_env(HAFT_INTERPRETER="yes"),
            )
        self.assertEqual(done.stdout, "/run/haft/tool/site-packages/dep.py\n")

    def test_module(self, mode):
        self.assertEqual(
            self.python("-m", "pkg.mod", "a", "b", mode=mode),
            "__main__ ['SITE/pkg/mod.py', 'a', 'b'] pkg SITE/pkg/mod.py\n",
        )
        self.python("-m", "pkg", mode=mode, status=6)
        self.python("-m", "pkg.nothing", mode=mode, status=1)

    def test_standard_input(self, mode):
        for arguments in ((), ("-",), ("-", "x", "-y")):
            self.python(
                *arguments,
                mode=mode,
                input="import sys, dep\nprint(sys.argv, dep.NAME, __name__)\n",
            )
        self.python("-", mode=mode, input="import sys; print(sys.stdin.read())\n")
        self.python(mode=mode, input="1 +\n", status=1)
        self.python(mode=mode, input="")

    def test_file(self, mode):
        place = support.write_tree(
            support.unique_dir("script"),
            {
                "script.py": "import sys, dep, beside\n"
                "print(sys.argv, dep.NAME, beside.X, sys.path[0], __file__)\n",
                "beside.py": "X = 1\n",
                "folder/__main__.py": "import sys, dep\nprint(sys.argv, dep.NAME)\n",
            },
        )
        env = support.clean_env(PYTHONDONTWRITEBYTECODE="1")
        self.python("script.py", "x", mode=mode, cwd=place, env=env)
        self.python(place / "script.py", mode=mode, env=env)
        self.python("folder", "-c", mode=mode, cwd=place, env=env)
        self.python("missing.py", mode=mode, cwd=place, status=2)

    def test_wrong_code(self, mode):
        self.python("-c", "1 +", mode=mode, status=1)
        self.python("-c", "raise LookupError('x')", mode=mode, status=1)
        self.python("-c", "import sys; sys.exit(12)", mode=mode, status=12)
        self.python("--nonsense", mode=mode, status=2)

    @support.parametrised(
        option=[
            "-s",
            "-B",
            "-O",
            "-OO",
            "-P",
            "-u",
            "-b",
            "-W error",
            "-X dev",
            "-X utf8",
            "-q",
            "-X tracemalloc=3",
            "-X warn_default_encoding",
            "-X faulthandler",
            "-d",
            "-X pycache_prefix=/nonexistent",
            "-R",
            "-X no_debug_ranges",
        ]
    )
    def test_options(self, option):
        """They mean what they mean, and the bundle's packages are there."""
        code = (
            "import sys, dep, enum\n"
            "print(sys.flags, sys.warnoptions, sys._xoptions, sys.dont_write_bytecode, "
            "__debug__, enum.__file__)\n"
            "print(dep.__file__, sys.path[:1])"
        )
        said = self.python(*option.split(), "-c", code, mode=support.MODES[-1])
        self.assertIn("SITE/dep.py", said)

    @support.parametrised(option=["-I", "-E", "-S", "-IS"])
    def test_options_that_ignore_the_environment(self, option, mode):
        """Documented: with -I and -E (and without site, -S) Python does not see the bundle's
        packages, as its children started that way do not. It starts all the same."""
        said = self.python(
            option,
            "-c",
            "import sys, enum; print(sys.flags.isolated, enum.__file__)",
            mode=mode,
            compare=False,
        )
        self.assertIn("/usr/lib/python3.11/enum.py", said)

    def test_information(self):
        for option in ("-V", "-VV", "-h", "--help-env", "--help-xoptions"):
            self.python(option, mode=support.MODES[-1])

    def test_script_whose_interpreter_is_the_bundle(self, mode):
        place = support.unique_dir("shebang", 0o755)
        scripts = []
        for number, program in enumerate(
            (both("-c", "tool").bundle, both("-c", "tool").plain.with_name("python3"))
        ):
            scripts.append(place / f"s{number}")
            scripts[-1].write_text(
                f"#!{program}\nimport sys, dep\nprint(sys.argv[1:], dep.NAME)\nsys.exit(5)\n"
            )
            scripts[-1].chmod(0o755)
        with self.clean():
            ours = support.run(
                [scripts[0], "a b"], mode=mode, env=support.clean_env(HAFT_INTERPRETER="1")
            )
        theirs = support.run([scripts[1], "a b"], mode=mode)
        self.assertEqual(
            (ours.stdout, ours.stderr, ours.returncode),
            (theirs.stdout, theirs.stderr, theirs.returncode),
        )
        self.assertEqual(ours.stdout, "['a b'] dep\n")

    def test_import_times(self):
        with self.clean():
            done = support.run(
                [both("-c", "tool").bundle, "-X", "importtime", "-c", "import dep"],
                env=support.clean_env(HAFT_INTERPRETER="1"),
                check=True,
            )
        self.assertRegex(done.stderr, r"(?m)^import time: .* dep$")
