"""Compares the tables of docs/format.md with what the compiler says about haft/format/layout.h.

usage: format_document_test.py PRINT_LAYOUT FORMAT_MD LAYOUT_H"""

import pathlib
import re
import subprocess
import sys
import unittest

PRINT_LAYOUT, DOCUMENT, LAYOUT = sys.argv[1:4]
RECORDS = ("Header", "Trailer", "Inode", "Extent", "Block")
# Constant: what the document says of it, the value in group 1. The values may be written 2³¹ − 1 or
# 1 MiB.
VALUE = r"([0-9⁰¹²³⁴⁵⁶⁷⁸⁹]+(?: (?:KiB|MiB)| [−+] [0-9]+)?)"
CONSTANTS = {
    "kMajor": [r"image format, version (\d+)", r"\| major \| (\d+);", r"\| major \| (\d+) \|"],
    "kMinor": [r"\| minor \| (\d+);", r"\| minor \| (\d+) \|"],
    "kAlignment": [
        r"zeros to a multiple of (\d+)",
        r"\[zeros to (4\d+)\]\[index\]",
        r"index_offset \| multiple of (\d+)",
    ],
    "kChunkSize": [r"\| chunk_size \| (\d+):", r"bytes \[(\d+) i, "],
    "kMinBlockSize": [r"\| block_size \| (\d+) … "],
    "kMaxBlockSize": [r"\| block_size \| \d+ … (\d+)", rf"\| block \| {VALUE};"],
    "kDefaultBlockSize": [rf"`haft build` writes {VALUE}"],
    "kHoleBlock": [rf"number of the first block, or {VALUE}: a hole"],
    "kMaxInodes": [rf"rows, 1 … {VALUE}", rf"\| inodes \| {VALUE}"],
    "kMaxBlocks": [rf"block_count \| at most {VALUE}"],
    "kMaxFileSize": [rf"file: bytes, at most {VALUE}", rf"\| file \| {VALUE} bytes"],
    "kMaxNameSize": [r"name_size \| bytes, 1 … (\d+)", r"\| name \| (\d+) bytes"],
    "kMaxPathSize": [r"\| path \| (\d+) bytes"],
    "kMaxTargetSize": [r"symlink: bytes of the target, 1 … (\d+)", r"link target \| (\d+) bytes"],
    "kMaxManifestSize": [rf"\| manifest \| {VALUE}"],
    "kSha256": [r"\| hash \| (\d+):"],
    "kSignatureAreaSize": [r"\[signature area (\d+)\]", r"\| signature_size \| (\d+) \|"],
    "kModeMask": [r"permission bits within (0[0-7]+)"],
    "kZstd": [r"(\d+): one zstd frame"],
    "kStored": [r"codec \| (\d+): stored"],
    "kLz4": [r"; (\d+): one lz4 block"],
}


def number(text):
    """The value of "64", "01777", "2³¹ − 1" or "128 KiB"."""
    text, _, unit = text.partition(" ")
    if unit in ("KiB", "MiB"):
        return int(text) << {"KiB": 10, "MiB": 20}[unit]
    if unit:
        sign, _, rest = unit.partition(" ")
        return number(text) + {"−": -1, "+": 1}[sign] * int(rest)
    power = re.fullmatch(r"(\d+)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)
    if power and re.fullmatch("[0-9]+", power[1]):
        return int(power[1]) ** int("".join(str("⁰¹²³⁴⁵⁶⁷⁸⁹".index(digit)) for digit in power[2]))
    return int(text, 8 if text.startswith("0") and len(text) > 1 else 10)


class FormatDocumentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = pathlib.Path(DOCUMENT).read_text(encoding="utf-8")
        cls.layout = pathlib.Path(LAYOUT).read_text(encoding="utf-8")
        lines = subprocess.run(
            [PRINT_LAYOUT], check=True, capture_output=True, text=True
        ).stdout.splitlines()
        cls.fields, cls.sizes, cls.constants, cls.magics = {}, {}, {}, {}
        for kind, name, *rest in map(str.split, lines):
            if kind == "field":
                cls.fields.setdefault(name, []).append((int(rest[1]), int(rest[2]), rest[0]))
            else:
                target = {"record": cls.sizes, "constant": cls.constants, "magic": cls.magics}[kind]
                target[name] = rest[0] if kind == "magic" else int(rest[0])

    def section(self, title):
        found = re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", self.document, re.M | re.S)
        self.assertTrue(found, f"no section {title}")
        return found[1]

    def table(self, title):
        rows = re.findall(r"^\| (\d+) \| (\d+) \| (\w+) \|", self.section(title), re.M)
        return [(int(offset), int(size), name) for offset, size, name in rows]

    def test_every_record_has_the_fields_of_its_table(self):
        for record in RECORDS:
            with self.subTest(record):
                self.assertEqual(self.table(record), self.fields[record])

    def test_fields_leave_no_gap_and_fill_the_record(self):
        for record in RECORDS:
            with self.subTest(record):
                end = 0
                for offset, size, name in self.table(record):
                    self.assertEqual(offset, end, name)
                    end += size
                self.assertEqual(end, self.sizes[record])

    def test_sizes_in_words(self):
        for record in ("Inode", "Extent", "Block"):
            self.assertEqual(
                int(re.search(r"^(\d+) bytes\.", self.section(record), re.M)[1]), self.sizes[record]
            )
        self.assertEqual(
            int(re.search(r"first (\d+) bytes of the image", self.document)[1]),
            self.sizes["Header"],
        )
        self.assertIn(f"[header {self.sizes['Header']}]", self.document)
        self.assertIn(f"[trailer {self.sizes['Trailer']}]", self.document)
        self.assertIn(f"| trailer_size | {self.sizes['Trailer']} |", self.document)
        for record, digest in (("Header", "digest"), ("Trailer", "root")):
            before = int(re.search(r"SHA-256 of the (\d+) bytes before", self.section(record))[1])
            self.assertIn((before, 32, digest), self.fields[record])

    def test_every_table_of_offsets_is_compared(self):
        self.assertEqual(self.document.count("| offset | size | field | meaning |"), len(RECORDS))

    def test_every_struct_and_constant_of_the_header_is_compared(self):
        self.assertEqual(tuple(re.findall(r"^struct (\w+) \{", self.layout, re.M)), RECORDS)
        names = set(re.findall(r"^inline constexpr (?!Magic)\S+ (k\w+)", self.layout, re.M))
        self.assertEqual(
            names - {"kKnownIncompatible", "kZstdBlocks"},
            set(CONSTANTS) - {"kStored", "kLz4", "kZstd"},
        )
        self.assertEqual(set(self.constants), set(CONSTANTS))

    def test_constants(self):
        for name, patterns in CONSTANTS.items():
            for pattern in patterns:
                with self.subTest(name, pattern=pattern):
                    found = re.findall(pattern, self.document)
                    self.assertTrue(found, f"the document does not tell {name}")
                    for text in found:
                        self.assertEqual(number(text), self.constants[name])

    def test_magic_numbers(self):
        for record, magic in self.magics.items():
            found = re.search(r"magic \| `([0-9a-f ]+)`", self.section(record))
            self.assertEqual(found[1].replace(" ", ""), magic)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
