"""What a bundle runs: console scripts, functions, modules, files of bin/ in any language, the
interpreter; chosen at build and changed for one start by HAFT_* variables."""

import os
import pathlib
import re

import support

SECONDS = 30

MAIN = """\
import os, sys

def main():
    print("main", sys.argv[1:])

def other():
    print("other", sys.argv[1:], sorted(name for name in os.environ if name.startswith("HAFT_")
        and name not in ("HAFT_INDEX", "HAFT_MODE")))

def value():
    return eval(sys.argv[1]) if len(sys.argv) > 1 else None

class Tool:
    @staticmethod
    def run():
        print("Tool.run")

if __name__ == "__main__":
    print("as a module")
"""
FILES = {
    "tool.py": MAIN,
    "pkg/__init__.py": "",
    "pkg/sub.py": "def call():\n    return 7\n\nif __name__ == '__main__':\n    print('pkg.sub')\n",
    "tool-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
    "tool-1.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main [fast]\n"
    "Other-Tool = tool : other\n"
    "odd%(x)s = tool:main\nvalue = tool:value\nclass-tool = tool:Tool.run\n",
    "bin/py-plain": "#!/usr/bin/python3\nimport sys\n"
    "print('script', __name__, sys.argv, __file__)\n",
    "bin/py-exit": "#!/usr/bin/env python3\nimport sys, tool\nsys.exit(4)\n",
    "bin/helper.py": "import helped\nprint(helped.X)\n",
    "bin/helped.py": "X = 'beside the script'\n",
    "bin/shell": '#!/bin/sh\necho "shell $0 $*"\nexit 5\n',
    "bin/nointerp": "#!/no/such/interpreter\n",
    "bin/pool": "#!/usr/bin/python3\nimport multiprocessing\ndef f(x): return x * 2\n"
    "if __name__ == '__main__':\n"
    "    with multiprocessing.get_context('spawn').Pool(2) as p: print(p.map(f, [1, 2]))\n",
}


class EntryCase(support.TestCase):
    built = {}

    def bundle(self, *arguments):
        """The bundle `tool` of FILES, one per arguments."""
        if arguments not in self.built:
            site = support.write_tree(support.unique_dir("site"), FILES)
            (site / "bin/elf").write_bytes(pathlib.Path("/bin/echo").read_bytes())
            for name in os.listdir(site / "bin"):
                (site / "bin" / name).chmod(0o755)
            self.built[arguments] = support.build(
                site, *arguments, output=support.unique_dir() / "tool"
            )
        return self.built[arguments]

    def run_bundle(self, bundle, *arguments, mode=None, **variables):
        with self.clean():
            return support.run([bundle, *arguments], mode=mode, env=support.clean_env(**variables))

    def says(self, out, bundle, *arguments, mode=None, status=0, **variables):
        done = self.run_bundle(bundle, *arguments, mode=mode, **variables)
        self.assertEqual((done.stdout, done.stderr, done.returncode), (out, "", status))


class TestBuiltIn(EntryCase):
    @support.parametrised(
        entry=["-c tool|main", "-c Other-Tool|other", "-c odd%(x)s|main", "-e tool:main|main"]
    )
    def test_names(self, entry, mode):
        """Extras, capital letters and a percent sign in the entry's line mean nothing to us."""
        arguments, word = entry.split("|")
        done = self.run_bundle(self.bundle(*arguments.split()), "--version", mode=mode)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        self.assertEqual(done.stdout.split()[:2], [word, "['--version']"])

    @support.parametrised(value=["None", "0", "3", "257", "True", "'text'", "[]"])
    def test_return_values_are_exit_codes(self, value, mode):
        """As sys.exit(value) of a plain Python."""
        done = self.run_bundle(self.bundle("-c", "value"), value, mode=mode)
        plain = support.run([support.PYTHON, "-c", f"import sys; sys.exit({value})"])
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr),
            (plain.returncode, plain.stdout, plain.stderr),
        )

    def test_attribute_of_a_class(self):
        self.says("Tool.run\n", self.bundle("-c", "class-tool"))

    def test_python_script_ends_with_0_and_says_nothing_more(self, mode):
        path = "/run/haft/tool/site-packages/bin/py-plain"
        self.says(
            f"script __main__ ['{path}', 'a', 'b c'] {path}\n",
            self.bundle("-c", "py-plain"),
            "a",
            "b c",
            mode=mode,
        )

    def test_status_of_a_python_script(self, mode):
        self.says("", self.bundle("-c", "py-exit"), mode=mode, status=4)

    def test_what_lies_beside_a_script_can_be_imported(self):
        """As `python bin/helper.py` has it."""
        self.says("beside the script\n", self.bundle("-c", "helper.py"))

    def test_shell_script(self, mode):
        self.says(
            "shell /run/haft/tool/site-packages/bin/shell a b\n",
            self.bundle("-c", "shell"),
            "a",
            "b",
            mode=mode,
            status=5,
        )

    def test_elf_program(self, mode):
        self.says("a b\n", self.bundle("-c", "elf"), "a", "b", mode=mode)

    def test_script_without_its_interpreter(self):
        done = self.run_bundle(self.bundle("-c", "nointerp"))
        self.assertEqual(done.returncode, 127)
        self.assertOneLine(done.stderr, "bin/nointerp'", "No such file")

    def test_spawn_workers_of_a_script(self):
        self.says("[2, 4]\n", self.bundle("-c", "pool"))


class TestChangedForOneStart(EntryCase):
    def test_another_console_script(self, mode):
        self.says(
            "other ['a'] ['HAFT_BUNDLE']\n",
            self.bundle("-c", "tool"),
            "a",
            mode=mode,
            HAFT_SCRIPT="Other-Tool",
        )

    def test_a_file_of_bin(self, mode):
        self.says(
            "shell /run/haft/tool/site-packages/bin/shell x\n",
            self.bundle("-c", "tool"),
            "x",
            mode=mode,
            status=5,
            HAFT_SCRIPT="shell",
        )

    def test_unknown_script(self, mode):
        done = self.run_bundle(self.bundle("-c", "tool"), mode=mode, HAFT_SCRIPT="Other-Tol")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(
            done.stderr, "'Other-Tol'", "'tool'", "'py-plain'", "did you mean 'Other-Tool'?"
        )

    @support.parametrised(
        entry=[
            "tool:main|main ['x']\n|0",
            "pkg.sub:call||7",
            "pkg.sub.call||7",
            "pkg.sub|pkg.sub\n|0",
            "tool|as a module\n|0",
            "tool:Tool.run|Tool.run\n|0",
        ]
    )
    def test_entry_point(self, entry):
        text, out, status = entry.split("|")
        self.says(
            out, self.bundle("-c", "Other-Tool"), "x", status=int(status), HAFT_ENTRY_POINT=text
        )

    def test_entry_point_of_the_standard_library(self):
        done = self.run_bundle(self.bundle("-c", "tool"), "--help", HAFT_ENTRY_POINT="json.tool")
        self.assertIn("usage:", done.stdout)

    def test_malformed_entry_point(self):
        done = self.run_bundle(self.bundle("-c", "tool"), HAFT_ENTRY_POINT="a b")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "HAFT_ENTRY_POINT", "'a b'")

    def test_off(self, mode):
        for value in ("", "0"):
            self.says(
                "other [] ['HAFT_BUNDLE']\n",
                self.bundle("-c", "Other-Tool"),
                mode=mode,
                HAFT_SCRIPT=value,
                HAFT_ENTRY_POINT=value,
                HAFT_INTERPRETER=value,
                HAFT_PYTHON=value,
            )

    def test_children_see_none_of_them(self, mode):
        code = (
            "import os; print([n for n in os.environ if n.startswith('HAFT_') and n not in "
            "('HAFT_INDEX', 'HAFT_MODE')])"
        )
        self.says(
            "['HAFT_BUNDLE']\n",
            self.bundle("-c", "tool"),
            "-c",
            code,
            mode=mode,
            HAFT_INTERPRETER="1",
            HAFT_SCRIPT="nonsense",
            HAFT_PYTHON=support.PYTHON,
        )


class TestInterpreter(EntryCase):
    """HAFT_INTERPRETER: all of Python, with the bundle's packages."""

    def python(self, *arguments, mode=None, **options):
        with self.clean():
            return support.run(
                [self.bundle("-c", "tool"), *arguments],
                mode=mode,
                env=support.clean_env(HAFT_INTERPRETER="1"),
                **options,
            )

    def test_code(self, mode):
        done = self.python(
            "-c", "import tool, sys; print(tool.__file__, sys.argv)", "a", mode=mode, check=True
        )
        self.assertEqual(done.stdout, "/run/haft/tool/site-packages/tool.py ['-c', 'a']\n")

    def test_module(self, mode):
        self.assertEqual(self.python("-m", "pkg.sub", mode=mode, check=True).stdout, "pkg.sub\n")

    def test_file_and_its_arguments(self, mode):
        script = support.unique_dir() / "x.py"
        script.write_text("import sys, tool\nprint(__name__, sys.argv)\n")
        self.assertEqual(
            self.python(script, "a", "-c", mode=mode, check=True).stdout,
            f"__main__ ['{script}', 'a', '-c']\n",
        )

    def test_standard_input(self, mode):
        for arguments in ((), ("-",), ("-", "a")):
            done = self.python(
                *arguments, mode=mode, input="import sys, tool; print(sys.argv)", check=True
            )
            self.assertEqual(done.stdout, f"{[*arguments] or ['']}\n")

    def test_wrong_code(self):
        done = self.python("-c", "1 +")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SyntaxError", done.stderr)

    def test_flags(self):
        self.assertEqual(self.python("-O", "-c", "assert 0").returncode, 0)
        self.assertRegex(self.python("-V", check=True).stdout, r"^Python 3\.")

    def test_prompt_with_completion(self, mode):
        """On a terminal: the prompt, line editing, names completed by the tabulator."""
        master, slave = os.openpty()
        env = support.clean_env(HAFT_INTERPRETER="1", HOME=str(support.unique_dir(mode=0o777)))
        with self.clean():
            process = support.start(
                [self.bundle("-c", "tool")],
                mode=mode,
                env=env,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
            )
            os.close(slave)
            shown = self.read_until(master, rb">>> ")
            os.write(master, b"import tool\n")
            shown += self.read_until(master, rb">>> ")
            os.write(master, b"tool.__fi\t\n")  # completed to tool.__file__
            shown += self.read_until(master, rb"tool\.py'\r\n.*>>> ")
            os.write(master, b"\x04")
            self.assertEqual(process.wait(10), 0)
        os.close(master)
        self.assertIn(b"/run/haft/tool/site-packages/tool.py", shown)

    def read_until(self, fd, pattern):
        data = b""
        while not re.search(pattern, data, re.DOTALL):
            data += os.read(fd, 4096)
        return data

    def test_as_the_interpreter_of_a_script(self, mode):
        """#!/path/of/the/bundle in the first line of a script."""
        script = support.unique_dir() / "s"
        script.write_text(f"#!{self.bundle('-c', 'tool')}\nimport tool, sys\nprint(sys.argv[1:])\n")
        script.chmod(0o755)
        self.says("['a']\n", script, "a", mode=mode, HAFT_INTERPRETER="1")


class TestWrongPython(EntryCase):
    """Refused with both versions, before any code of the bundle runs."""

    def fake(self, version="3.12.1", soabi="cpython-312-x86_64-linux-gnu"):
        path = support.unique_dir(mode=0o755) / "python"
        path.write_text(
            "#!/bin/sh\n"
            f'case "$*" in *haft-answer*) printf '
            f"'haft-answer\\n{version}\\n{soabi[:11]}\\n{soabi}\\n%s\\n' \"$0\";; "
            '*) exec /usr/bin/python3 "$@";; esac\n'
        )
        path.chmod(0o755)
        return path

    @support.parametrised(
        what=["3.12.1|cpython-312-x86_64-linux-gnu", "3.11.2|cpython-311d-x86_64-linux-gnu"]
    )
    def test_version_and_abi(self, what, mode):
        version, soabi = what.split("|")
        python = self.fake(version, soabi)
        done = self.run_bundle(self.bundle("-c", "tool"), mode=mode, HAFT_PYTHON=str(python))
        self.assertEqual((done.stdout, done.returncode), ("", 125))
        self.assertOneLine(
            done.stderr,
            f"Python {version}",
            soabi,
            "needs Python 3.11 (cpython-311-x86_64-linux-gnu)",
        )

    def test_one_that_lies(self, mode):
        """Whatever the question gave: the bootstrap looks again."""
        bundle = self.bundle("-c", "tool", "-p", str(self.fake()))
        done = self.run_bundle(bundle, mode=mode)
        self.assertEqual((done.stdout, done.returncode), ("", 125))
        self.assertOneLine(
            done.stderr, "needs Python 3.12.1 (cpython-312-x86_64-linux-gnu)", "is Python 3.11"
        )

    def test_a_right_one(self, mode):
        """Another path, the same Python: taken, and it is sys.executable."""
        other = support.unique_dir() / "my-python"
        other.symlink_to(support.PYTHON)
        self.says("main []\n", self.bundle("-c", "tool"), mode=mode, HAFT_PYTHON=str(other))
        done = self.run_bundle(
            self.bundle("-c", "tool"),
            "-c",
            "import sys; print(sys.executable)",
            mode=mode,
            HAFT_PYTHON=str(other),
            HAFT_INTERPRETER="1",
        )
        self.assertEqual(done.stdout, f"{other}\n")

    def test_none(self):
        done = self.run_bundle(self.bundle("-c", "tool"), HAFT_PYTHON="/no/python")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "interpreter '/no/python': No such file", "HAFT_PYTHON")

    def test_a_bundle_is_no_interpreter(self):
        """It would ask itself for ever."""
        bundle = self.bundle("-c", "tool")
        done = self.run_bundle(bundle, HAFT_PYTHON=str(bundle))
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "does not answer as a Python interpreter")


class TestBundleInBundle(EntryCase):
    def test_another_bundle_gets_nothing_of_the_first(self, mode):
        """The second bundle's start processed the first one's sitecustomize for ever."""
        inner = support.code_app(
            "inner",
            "import sys, os\nprint([p for p in sys.path if '/run/haft/' in p])\n"
            "try:\n    import lab\nexcept ImportError: print('no lab')\n",
        )
        code = (
            f"import subprocess; subprocess.run([{str(inner)!r}], check=True); import "
            f"lab_lazy.m1; print('on')"
        )
        with self.clean():
            done = support.run([support.lab(), code], mode=mode, check=True)
        self.assertEqual(
            (done.stdout, done.stderr), ("['/run/haft/inner/site-packages']\nno lab\non\n", "")
        )

    def test_path_does_not_grow(self):
        code = (
            "n = int(os.environ.get('N', 0)); os.environ['N'] = str(n + 1)\n"
            "if n < 5: os.execv(sys.argv[0], sys.argv)\n"
            "print(os.environ['PYTHONPATH'].count('/run/haft/'))"
        )
        with self.clean():
            done = support.run([support.lab(), code], check=True)
        self.assertEqual(done.stdout, "2\n")
