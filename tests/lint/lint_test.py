#!/usr/bin/python3
"""tools/lint over small trees: each check passes a good one, and fails for what it is there for."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

REPO = pathlib.Path(__file__).resolve().parents[2]
HEADER = "#pragma once\n\n"
GOOD = {
    "src/cli/main.cc": '#include "haft/base/text.h"\n\nint copy = haft::length;\n',
    "src/base/text.cc": '#include "haft/base/text.h"\n\nint haft::length = 0;\n',
    "include/haft/base/text.h": HEADER
    + "namespace haft {\n\nextern int length;\n\n}  // namespace haft\n",
    "src/python/bootstrap/_haft.py": '"""Says yes."""\n\n\ndef yes() -> bool:\n    return True\n',
    "tools/tool": "#!/bin/bash\nset -u\necho good\n",
    "docs/page.md": "All is well.\n",
}
BRACES = """struct Pair {
  int first, second;
};

Result<Pair> Both() { return Pair{.first = %s, .second = %s}; }
"""


class LintTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="haft-lint-"))
        self.addCleanup(shutil.rmtree, self.root)
        for name in ("pyproject.toml", ".clang-format"):
            shutil.copy(REPO / name, self.root)
        self.write(GOOD)

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def lint(self, *checks):
        return subprocess.run(
            [REPO / "tools/lint", "--root", self.root, *checks],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def fails(self, check, files, *expected):
        """The check fails for the tree with these files, and says all that is expected."""
        self.write(files)
        done = self.lint(check)
        self.assertEqual(done.returncode, 1, done.stdout)
        for text in (*expected, f"{check}: FAILED", "remedy: "):
            self.assertIn(text, done.stdout)

    def test_good_tree_is_clean(self):
        # Each module is more than an eighth of so small a tree.
        done = self.lint(
            "format", "python", "syntax", "types", "shell", "spelling", "layering", "try"
        )
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_unknown_check(self):
        self.assertEqual(self.lint("beauty").returncode, 2)

    def test_layout_of_cc_files(self):
        self.fails("format", {"src/cli/bad.cc": "int  f( );\n"}, "src/cli/bad.cc:1")

    def test_unused_import(self):
        self.fails("python", {"tools/bad.py": "import os\n"}, "tools/bad.py:1", "F401")

    def test_layout_of_python_files(self):
        self.fails("python", {"tools/bad.py": "a = {'b':1}\n"}, "tools/bad.py")

    def test_syntax_newer_than_a_bundles_python(self):
        bad = "def f(value):\n    match value:\n        case 1:\n            pass\n"
        self.fails("syntax", {"src/python/bad.py": bad}, "src/python/bad.py:4: Python 3.8")

    def test_sitecustomize_has_to_parse_in_python_3_6(self):
        name = "src/python/bootstrap/sitecustomize.py"
        self.fails("syntax", {name: "if a := 1:\n    pass\n"}, f"{name}:1: Python 3.6")

    def test_wrong_type(self):
        name = "src/python/bootstrap/_haft.py"
        self.fails("types", {name: "def yes() -> bool:\n    return 1.0\n"}, f"{name}:2", "float")

    def test_untyped_function_of_a_bundle(self):
        name = "src/python/bootstrap/_haft.py"
        self.fails("types", {name: "def yes():\n    return True\n"}, f"{name}:1")

    def test_shell(self):
        self.fails("shell", {"tools/bad": "#!/bin/sh\nrm -rf $1\n"}, "tools/bad:2:", "SC2086")

    def test_misspelled_word(self):
        word = "rec" + "ieves"  # this file is checked itself
        self.fails("spelling", {"docs/bad.md": f"It {word} it.\n"}, f"docs/bad.md:1: {word}")

    def test_misspelled_word_of_a_hidden_folder(self):
        word = "rec" + "ieves"
        self.fails("spelling", {".ci/run": f"# It {word} it.\n"}, f".ci/run:1: {word}")

    def test_include_of_a_higher_module(self):
        files = {
            "include/haft/cli/options.h": HEADER,
            "src/base/bad.cc": '#include "haft/cli/options.h"\n',
        }
        self.fails("layering", files, "src/base/bad.cc:1: base must not include cli")

    def test_circle_of_includes(self):
        files = {
            "src/cli/a.h": '#pragma once\n\n#include "b.h"\n',
            "src/cli/b.h": HEADER,
            "src/cli/b.cc": '#include "b.h"\n\n#include "a.h"\n',
        }
        self.fails("layering", files, "cli/a -> cli/b -> cli/a")

    def test_library_of_another_module(self):
        files = {"src/base/bad.cc": "#include <lz4.h>\n"}
        self.fails("layering", files, "src/base/bad.cc:1: <lz4.h> belongs in format only")

    def test_calls_of_another_module(self):
        files = {
            "src/cli/exec.cc": 'void f() { ::execve("a", nullptr, nullptr); }\n',
            "src/cli/variable.cc": 'auto v = ::getenv("A");\n',
        }
        self.fails(
            "layering",
            files,
            "src/cli/exec.cc:1: this call belongs in launch or base",
            "src/cli/variable.cc:1: this call belongs in base",
        )

    def test_include_above(self):
        files = {"src/cli/bad.cc": '#include "../base/text.h"\n'}
        self.fails(
            "layering", files, "src/cli/bad.cc:1: ../base/text.h: includes start at the root"
        )

    def test_private_header_of_another_folder(self):
        files = {"src/base/own.h": HEADER, "src/cli/bad.cc": '#include "base/own.h"\n'}
        self.fails("layering", files, "src/cli/bad.cc:1: base/own.h: a private header of another")

    def test_unknown_module(self):
        files = {"src/beauty/bad.cc": "int a;\n"}
        self.fails("layering", files, "src/beauty/bad.cc:1: beauty is not a module")

    def test_public_header_of_one_module(self):
        name = "include/haft/base/alone.h"
        self.fails("layering", {name: HEADER}, f"{name}:1: no other module includes this header")

    def test_try_in_a_later_member(self):
        self.fails("try", {"src/cli/bad.cc": BRACES % ("1", "TRY(Two())")}, "src/cli/bad.cc:5")

    def test_try_in_the_first_member_is_allowed(self):
        self.write({"src/cli/good.cc": BRACES % ("TRY(One(1, 2))", "2")})
        self.assertEqual(self.lint("try").returncode, 0)

    def test_long_function(self):
        body = "  Step();\n" * 60
        self.fails("size", {"src/cli/bad.cc": f"void F() {{\n{body}}}\n"}, "src/cli/bad.cc:1")

    def test_long_function_with_a_reason(self):
        body = "  Step();\n" * 60
        self.write({"src/cli/good.cc": f"// Long: a table.\nvoid F() {{\n{body}}}\n"})
        self.assertNotIn("good.cc", self.lint("size").stdout)

    def test_long_functions_of_any_kind(self):
        body = "  Step();\n" * 60
        for head in (
            "void F(int a = 1, Text b = {}) {",
            "bool operator==(const A& a, const A& b) {",
            "A::A(int a) : a_{a}, b_{2} {",
        ):
            with self.subTest(head):
                self.fails("size", {"src/cli/bad.cc": f"{head}\n{body}}}\n"}, "src/cli/bad.cc:1")

    def test_long_lines_of_scripts_and_build_files(self):
        files = {"tools/bad": "#!/bin/sh\n" + "# " + "a" * 99 + "\n", "src/meson.build": "a" * 101}
        self.fails("size", files, "tools/bad:2: 101 columns", "src/meson.build:1: 101 columns")

    def test_long_file(self):
        self.fails("size", {"src/cli/bad.h": "int a;\n" * 401}, "src/cli/bad.h", "401 lines")

    def test_long_file_of_tests(self):
        self.fails("size", {"tests/cli/bad_test.cc": "int a;\n" * 451}, "bad_test.cc", "451 lines")

    def test_file_of_tests_may_have_450_lines(self):
        self.write({"tests/e2e/cli/test_good.py": "a = 1\n" * 450})
        self.assertNotIn("test_good.py", self.lint("size").stdout)

    @unittest.skipUnless(os.environ.get("LINT_TIDY"), "clang-tidy: tools/test --long")
    def test_mistakes_that_clang_tidy_finds_in_files_and_headers(self):
        shutil.copy(REPO / ".clang-tidy", self.root)
        sources = "static_library('a', 'src/base/bad.cc', include_directories: 'include')\n"
        self.write({"meson.build": f"project('a', 'cpp')\n{sources}"})
        bad = "inline int {}(int a) {{\n  if (a > 1);\n  return a;\n}}\n"
        includes = '#include "haft/base/public.h"\n#include "private.h"\n'
        files = {
            "src/base/bad.cc": includes + bad.format("Own") + "int Use() { return Own(2); }\n",
            "src/base/private.h": HEADER + bad.format("Private"),
            "include/haft/base/public.h": HEADER + bad.format("Public"),
            "src/base/text.cc": "",
            "src/cli/main.cc": "",
        }
        found = [f"{name}:4:" for name in files if name.endswith(".h") or "bad.cc" in name]
        self.fails("tidy", files, *found, "suspicious-semicolon")

    def test_large_folder(self):
        self.fails("size", {"src/cli/large.h": "int a;\n" * 300}, "src/cli: ")


if __name__ == "__main__":
    sys.exit(unittest.main())
