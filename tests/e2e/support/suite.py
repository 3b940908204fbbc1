"""Which tests there are: the files below tests/e2e, in folders by subject, and the tests in them.

A file has a short name, FOLDER/test_WORD, and is the module FOLDER.test_WORD. It may say how long
it takes: `SECONDS = 60`. The slowest files are started first.
"""

import fnmatch
import importlib.util
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
_SECONDS = re.compile(r"^SECONDS = (\d+)", re.MULTILINE)


def files():
    """{short name: seconds it takes} of all files, the slowest first. Imports none of them."""
    found = {}
    for path in sorted(ROOT.glob("*/test_*.py")):
        seconds = _SECONDS.search(path.read_text(encoding="utf-8"))
        found[f"{path.parent.name}/{path.stem}"] = int(seconds[1]) if seconds else 5
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def module(name):
    """The module of a file, loaded by its path: a folder may be named like an installed package."""
    dotted = name.replace("/", ".")
    if dotted not in sys.modules:
        spec = importlib.util.spec_from_file_location(dotted, ROOT / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[dotted] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[dotted])
    return sys.modules[dotted]


def matches(name, pattern):
    end = pattern[:-1] if pattern.endswith("$") else f"{pattern}*"
    return fnmatch.fnmatchcase(name, f"*{end}")


def tests(name, patterns=()):
    """The tests of a file whose name contains or matches a pattern, or with $ ends in it; all
    without patterns."""
    found: list[unittest.TestCase] = []
    stack: list[unittest.TestCase | unittest.TestSuite] = [
        unittest.defaultTestLoader.loadTestsFromModule(module(name))
    ]
    while stack:
        item = stack.pop()
        if isinstance(item, unittest.TestSuite):
            stack.extend(reversed(list(item)))
        elif not patterns or any(matches(item.id(), p) for p in patterns):
            found.append(item)
    return found
