"""What documents refer to exists (files, sections, tests), and so do documents that comments name.

usage: links_test.py REPOSITORY"""

import functools
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()
sys.path.insert(0, str(ROOT / "tools"))
import layering  # noqa: E402

FOLDERS = ("src", "include", "tests", "tools", "docs", "subprojects", ".ci")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
UNWRAPPED = ("README.md", "docs/haft.1.md")  # paragraphs of one line
FENCE = re.compile(r"^ *```.*?^ *```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
PATH = re.compile(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]+")
SOURCE = re.compile(r"[\w/]+\.(?:cc|h)|_haft\w*\.py")
TEST = re.compile(r"(?:(\w+)[./])?(test_[a-z]\w*|\w+_test)(?:\.py)?((?:\.\w+)*)")


@functools.cache
def files():
    """Base name: all files of that name."""
    found = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            found.setdefault(path.name, []).append(path)
    return found


@functools.cache
def identifiers():
    """All words of the sources that begin with a capital letter."""
    found = set()
    for folder in ("src", "include"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".cc", ".h"):
                found.update(re.findall(r"\b[A-Z]\w+", path.read_text(encoding="utf-8")))
    return found


@functools.cache
def anchors(document):
    """The sections of a document, as links name them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", document.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def broken_links(document, text):
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.exists():
            yield f"link to {target}"
        elif anchor and anchor not in anchors(path):
            yield f"link to {target}: {path.name} has no such section"


def missing_files(text):
    for code in CODE.findall(text):
        for word in code.split():
            if PATH.fullmatch(word):
                # NAME and MODULE stand for anything.
                pattern = re.sub(r"[A-Z]{3,}(?![a-z])(?!\.md)", "*", word).rstrip("/")
                if not any(ROOT.glob(pattern)):
                    yield f"file {word}"
            elif SOURCE.fullmatch(word) and "NAME" not in word:
                same_name = files().get(word.rpartition("/")[2], [])
                if not any(path.as_posix().endswith("/" + word) for path in same_name):
                    yield f"file {word}"


def missing_names(text):
    """Names of types and functions that the sources do not have."""
    for code in CODE.findall(text):
        if re.fullmatch(r"(?:\w+::)*[A-Z]\w*[a-z]\w*(?:::\w+)*", code):
            for name in re.findall(r"\b[A-Z]\w+", code):
                if name not in identifiers():
                    yield f"name {code}"


def missing_tests(text):
    """Of `start.test_modes.TestX.test_y`, `test_modes`, or unit tests as `supervisor_test`."""
    for code in CODE.findall(text):
        if match := TEST.fullmatch(code):
            folder, stem, members = match.groups()
            paths = [*files().get(stem + ".py", []), *files().get(stem + ".cc", [])]
            paths = [path for path in paths if folder in (None, path.parent.name)]
            text_of = "\n".join(path.read_text(encoding="utf-8") for path in paths)
            if not paths:
                yield f"test {code}"
            for name in filter(None, members.split(".")):
                if not re.search(rf"\b(?:class|def) {name}\b", text_of):
                    yield f"test {code}: {stem} has no {name}"


def long_lines(text):
    """Lines of prose above 80 columns that have a space to wrap them at."""
    prose = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    for number, line in enumerate(prose.splitlines(), 1):
        if len(line) > 80 and not line.startswith(("|", "#")) and " " in line.strip():
            yield f"line {number}: {len(line)} columns"


class LinksTest(unittest.TestCase):
    def test_documents_refer_to_what_exists(self):
        self.assertGreater(len(DOCUMENTS), 20)
        for document in DOCUMENTS:
            text = document.read_text(encoding="utf-8")
            prose = FENCE.sub("", text)
            for problem in (
                *broken_links(document, prose),
                *missing_files(prose),
                *missing_tests(prose),
            ):
                with self.subTest(document.relative_to(ROOT).as_posix()):
                    self.fail(problem)

    def test_names_are_those_of_the_sources(self):
        for name in ("CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md"):
            for problem in missing_names((ROOT / name).read_text(encoding="utf-8")):
                with self.subTest(name):
                    self.fail(problem)

    def test_comments_refer_to_files_that_exist(self):
        name = re.compile(r"\b(?:docs|include|src|tests)/[\w/.-]+\.(?:md|h|cc|py)\b")
        for folder in ("src", "include", "tests", "tools"):
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix not in (".cc", ".h", ".py", ".build"):
                    continue
                if path.parent.name in ("docs", "lint"):  # they test checkers with made-up names
                    continue
                for found in name.findall(path.read_text(encoding="utf-8")):
                    with self.subTest(path.relative_to(ROOT).as_posix()):
                        self.assertTrue((ROOT / found).exists(), found)

    def test_layers_are_drawn_as_they_are(self):
        text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
        picture = re.search(r"^## Layers$.*?^```$(.*?)^```$", text, re.M | re.S)[1]
        rows = {}  # module: its row; explanations begin in column 33
        for row, line in enumerate(picture.strip().splitlines()):
            rows.update((word, row) for word in line[:33].split())
        self.assertEqual(set(rows), set(layering.MODULES))
        for module, included in layering.MODULES.items():
            for other in included or ():
                with self.subTest(module, other=other):
                    self.assertGreater(rows[other], rows[module])

    def test_tables_of_modules_are_in_the_order_of_the_layers(self):
        text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        table = re.search(r"^\| module \| holds \|$(.*?)^$", text, re.M | re.S)[1]
        cells = [line.split("|")[1] for line in table.strip().splitlines()[1:]]
        build = (ROOT / "src/meson.build").read_text(encoding="utf-8")
        targets = re.findall(r"^ *(\w+)_lib = static_library\('haft-", build, re.M)
        for where, order in (
            ("CONTRIBUTING.md", re.findall(r"`(\w+)`", " ".join(cells))),
            ("src/meson.build", [name for name in targets if name in layering.MODULES]),
        ):
            programs = {"cli", "runtime", "launcher"} if where == "src/meson.build" else set()
            with self.subTest(where):
                self.assertEqual(sorted(order), sorted(set(layering.MODULES) - programs))
            for index, module in enumerate(order):
                for other in layering.MODULES[module] or ():
                    with self.subTest(where, module=module, other=other):
                        self.assertIn(other, order[:index])

    def test_prose_is_wrapped_at_80_columns(self):
        for document in DOCUMENTS:
            name = document.relative_to(ROOT).as_posix()
            if name in UNWRAPPED:
                continue
            for problem in long_lines(document.read_text(encoding="utf-8")):
                with self.subTest(name):
                    self.fail(problem)

    def test_every_document_is_in_the_index(self):
        for folder in ("docs", "docs/decisions"):
            index = ROOT / folder / "README.md"
            named = set(LINK.findall(index.read_text(encoding="utf-8")))
            for document in sorted((ROOT / folder).glob("*.md")):
                with self.subTest(folder):
                    self.assertIn(document.name, {*named, "README.md"})


class BrokenDocumentsTest(unittest.TestCase):
    """What is wrong is found."""

    def test_links(self):
        document = ROOT / "docs/README.md"
        for text, problems in (
            ("[a](format.md) [b](https://x.org/y) [c](format.md#trailer)", 0),
            ("[a](no-such.md)", 1),
            ("[a](format.md#no-such-section)", 1),
            ("[a](#no-such-section)", 1),
        ):
            with self.subTest(text):
                self.assertEqual(len(list(broken_links(document, text))), problems)

    def test_files(self):
        for text, problems in (
            ("`src/base/error.cc` `tests/MODULE` `src/cli/NAME_command.cc` `base/error.cc`", 0),
            ("`src/no_such.cc`", 1),
            ("`no_such.h`", 1),
            ("`tools/test --no-such`", 0),
        ):
            with self.subTest(text):
                self.assertEqual(len(list(missing_files(text))), problems)

    def test_long_lines(self):
        word = "a" * 40
        for text, problems in (
            (f"{word} {word}", 1),
            (f"{word}\n{word}", 0),
            (f"| {word} | {word} |", 0),
            (f"```\n{word} {word}\n```", 0),
            (word + word + word, 0),
        ):
            with self.subTest(text):
                self.assertEqual(len(list(long_lines(text))), problems)

    def test_names(self):
        for text, problems in (
            ("`ImageReader` `ImageReader::Open` `format::Inode` `HAFT_MODE` `NAME`", 0),
            ("`NoSuchReader`", 1),
            ("`ImageReader::NoSuchFunction`", 1),
        ):
            with self.subTest(text):
                self.assertEqual(len(list(missing_names(text))), problems)

    def test_tests(self):
        for text, problems in (
            ("`supervisor_test` `start.test_modes` `start/test_modes.py`", 0),
            ("`test_no_such`", 1),
            ("`lifecycle.test_modes`", 1),
            ("`lifecycle.test_exit.NoSuchClass`", 1),
        ):
            with self.subTest(text):
                self.assertEqual(len(list(missing_tests(text))), problems)


if __name__ == "__main__":
    unittest.main()
