"""The table of include/haft/base/variables.h against what the manual and the Python modules say.

usage: variables_test.py REPOSITORY"""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop())
HEADER = (ROOT / "include/haft/base/variables.h").read_text(encoding="utf-8")
NAMES = dict(re.findall(r'view (k\w+) = "(HAFT_\w+)"', HEADER))
USES = dict(re.findall(r"\{variables::(k\w+), VariableUse::(k\w+),", HEADER))


def names_in(path):
    return set(re.findall(r"\bHAFT_[A-Z]+(?:_[A-Z]+)*\b", path.read_text(encoding="utf-8")))


class Variables(unittest.TestCase):
    def test_every_name_is_in_the_table(self):
        self.assertTrue(NAMES)
        self.assertEqual(set(NAMES), set(USES))

    def test_the_manual_explains_every_variable_that_is_not_internal(self):
        text = (ROOT / "docs/haft.1.md").read_text(encoding="utf-8")
        for constant, name in NAMES.items():
            if USES[constant] != "kInternal":
                self.assertIn(f"`{name}", text)

    def test_documents_and_python_modules_name_no_other(self):
        files = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("src/**/*.py")]
        files.remove(ROOT / "docs/testing.md")  # has those of the tests
        for path in files:
            self.assertEqual(names_in(path) - set(NAMES.values()), set(), path)


if __name__ == "__main__":
    unittest.main()
