"""haft trace: what it tells about a start is what happened, and the program does not notice."""

import json
import os
import re
import signal
import subprocess
import unittest
import zipfile

import support
from support.browser import open_page
from support.tools import needs

SECONDS = 15

APP = {
    "traced/__init__.py": "import traced.first\n",
    "traced/first.py": "import traced.second\n"
    "DATA = open(__file__.replace('first.py', 'at_import.txt')).read()\n",
    "traced/second.py": "VALUE = 2\n",
    "traced/later.py": "VALUE = 3\n",
    "traced/at_import.txt": "read while traced.first is imported\n",
    "traced/big.bin": "0123456789abcdef" * 40_000,
    "traced/never.txt": "n" * 123_456,
    "traced/main.py": """\
import os
import sys


def read(name):
    with open(os.path.join(os.path.dirname(__file__), name), "rb") as file:
        return file.read()


def main():
    import traced.later
    os.write(1, b"out\\n")
    print(len(read("big.bin")), file=sys.stderr)
    exec(sys.argv[1] if len(sys.argv) > 1 else "")
    return 7
""",
}
BLOCKS_OF_BIG = 5  # 640 000 bytes in blocks of 128 KiB
TYPES = {"X", "M", "i"}


def app():
    return support.app(
        "traced", APP, "-e", "traced.main:main", "--compression", "lz4"
    )  # blocks of 128 KiB


def cells(html, table):
    """The rows of a table in a rendered page: lists of texts."""
    body = re.search(rf'<table id="{table}">.*?<tbody>(.*?)</tbody>', html, re.S)[1]
    return [
        [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)
    ]


class TestTrace(support.TestCase):
    def setUp(self):
        self.out = support.unique_dir()

    def path(self, name):
        return os.path.join(self.out, name)

    def tree(self):
        return support.write_tree(self.path("tree"), APP)

    def trace(self, *words, mode=None, program=(), **options):
        return support.run([support.HAFT, "trace", *words, app(), *program], mode=mode, **options)

    def events(self, *program):
        self.trace("--json", self.path("t.json"), program=program)
        with open(self.path("t.json"), encoding="utf-8") as file:
            return json.load(file)["traceEvents"]

    def test_the_program_does_not_notice(self, mode):
        os.chmod(self.out, 0o777)
        code = (
            "print(sorted(name for name in os.environ if name.startswith('HAFT_TRACE')));"
            "print([fd for fd in os.listdir('/proc/self/fd') if int(fd) > 2 and "
            "os.path.exists('/proc/self/fd/' + fd)])"
        )
        with self.clean():
            plain = support.run([app(), code], mode=mode)
            traced = self.trace("--table", self.path("table"), program=[code], mode=mode)
        self.assertEqual(plain.returncode, 7)
        self.assertEqual(plain.stdout.splitlines()[1], "[]")
        self.assertEqual(traced.returncode, 7)
        self.assertEqual(traced.stderr, plain.stderr)
        self.assertEqual(traced.stdout.splitlines()[0::2], plain.stdout.splitlines()[0::2])
        # Children are traced as well, so their variable stays; that of the server is gone.
        self.assertEqual(traced.stdout.splitlines()[1], "['HAFT_TRACE_EVENTS']")
        with open(self.path("table"), encoding="utf-8") as file:
            self.assertIn("exit status 7", file.read())

    def test_table_on_standard_error(self):
        done = self.trace("--top", "50", env=support.clean_env(HAFT_INDEX="0"))
        self.assertEqual(done.stdout, "out\n")
        lines = done.stderr.splitlines()
        self.assertEqual(lines[0], "640000")  # the program's own
        text = done.stderr
        self.assertRegex(
            text,
            r"read +site-packages/traced/__pycache__/second\S+\.pyc  \[traced\.second from "
            r"traced\.first\]",
        )
        self.assertRegex(
            text, r"36 B +\d+  read +site-packages/traced/at_import.txt  \[traced\.first\]"
        )
        self.assertRegex(
            text,
            rf"625\.0 KiB +\d+\+{BLOCKS_OF_BIG - 1}  read +site-packages/traced/big\.bin  "
            rf"\[traced\.main\]",
        )
        self.assertRegex(text, r"traced\.later  \[traced\.main\]")
        unused = text[text.index("\nnever used") :]
        self.assertRegex(unused, r"120\.6 KiB  site-packages/traced/never\.txt")
        self.assertNotIn("at_import", unused)

    @unittest.skipIf(os.environ.get("HAFT_INDEX") == "0", "the whole run is without the index")
    def test_modules_of_the_import_index(self):
        text = self.trace("--top", "50").stderr
        self.assertRegex(
            text,
            r"- +index  site-packages/traced/__pycache__/second\S+\.pyc  \[traced\.second "
            r"from traced\.first\]",
        )
        unused = text[text.index("\nnever used") :]
        self.assertNotIn("__pycache__", unused)
        self.assertNotIn(".haft", unused)

    def test_an_archive_of_others(self):
        archive = self.path("old.pyz")
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(
                "__main__.py",
                "import sys, helper\nprint(sys.argv[1:], open(helper.DATA).read())\nsys.exit(3)\n",
            )
            file.writestr(
                "helper.py",
                "import os\nDATA = os.path.join(os.path.dirname(__file__), 'data.txt')\n",
            )
            file.writestr("data.txt", "data")
        done = support.run([support.HAFT, "trace", "--all", archive, "--all", "x"])
        self.assertEqual((done.returncode, done.stdout), (3, "['--all', 'x'] data\n"))
        self.assertRegex(done.stderr, r"4 B +\d+  read   data\.txt  \[__main__\]")
        self.assertRegex(done.stderr, r"read   helper\.py  \[helper from __main__\]")

    def test_all_lists_everything_in_order(self):
        text = self.trace("--all").stderr
        order = [
            text.index(f"traced/{name}")
            for name in (
                "__pycache__/__init__",
                "__pycache__/first",
                "__pycache__/second",
                "at_import.txt",
                "__pycache__/later",
                "big.bin",
            )
        ]
        self.assertEqual(order, sorted(order))

    def test_trace_events(self):
        events = self.events()
        self.assertLessEqual({event["ph"] for event in events}, TYPES)
        spans = [event for event in events if event["ph"] == "X"]
        run = next(event for event in spans if event["cat"] == "run")
        for span in spans:
            self.assertGreaterEqual(span["ts"], 0)
            self.assertGreaterEqual(span["dur"], 0)
            self.assertLessEqual(span["ts"] + span["dur"], run["dur"] + 100_000)
        imports = {event["name"]: event for event in spans if event["cat"] == "import"}
        self.assertEqual(imports["traced.second"]["args"]["importer"], "traced.first")
        self.assertIn("__pycache__/second.cpython", imports["traced.second"]["args"]["file"])
        first, second = imports["traced.first"], imports["traced.second"]
        self.assertLessEqual(first["ts"], second["ts"])
        self.assertLessEqual(second["ts"] + second["dur"], first["ts"] + first["dur"])
        self.assertGreaterEqual(
            imports["traced.first"]["dur"] * 1.001, imports["traced.first"]["args"]["self_us"]
        )
        reads = [
            event
            for event in spans
            if event["cat"] == "read" and event["args"]["path"].endswith("big.bin")
        ]
        self.assertEqual(sum(event["args"]["replied"] for event in reads), 640_000)
        self.assertGreaterEqual(sum(event["args"]["decoded"] for event in reads), BLOCKS_OF_BIG)
        self.assertTrue(all(event["pid"] != run["pid"] for event in reads))

    def test_counts_agree_with_the_servers(self):
        code = (
            "root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))\n"
            "print(open(os.path.join(root, '.haft/stats')).read())"
        )
        done = self.trace("--json", self.path("t.json"), program=[code])
        stats = json.loads(done.stdout.removeprefix("out\n"))["operations"]
        with open(self.path("t.json"), encoding="utf-8") as file:
            spans = [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]
        for operation in ("read", "readdirplus", "readlink"):
            seen = sum(
                event["cat"] == operation and "stats" not in event["name"] for event in spans
            )
            # The snapshot was made at its look-up; reading it came later.
            self.assertAlmostEqual(seen, stats[operation], delta=2, msg=operation)

    @unittest.skipIf(os.environ.get("HAFT_INDEX") == "0", "the whole run is without the index")
    @support.parametrised(index=["0", "1"])
    def test_profile(self, index):
        self.trace("--profile", self.path("p"), env=support.clean_env(HAFT_INDEX=index))
        with open(self.path("p"), encoding="utf-8") as file:
            profile = json.load(file)
        files = profile["files"]
        names = [file for file in files if "traced/" in file and not file.endswith(".py")]
        self.assertEqual(
            [os.path.basename(name).split(".")[0] for name in names],
            ["__init__", "first", "second", "at_import", "main", "later", "big"],
        )
        self.assertEqual(len(files), len(set(files)))
        # With the index all of its modules are found without listing it.
        self.assertEqual("site-packages/traced" in profile["directories"], index == "0")
        self.assertNotIn("site-packages/traced/never.txt", files)
        self.assertFalse(
            [file for file in files if "_haft_trace" in file or "modules.index" in file]
        )
        self.assertTrue([file for file in files if "_haft." in file])
        # The builder takes it.
        rebuilt = support.build(
            self.tree(),
            "-e",
            "traced.main:main",
            "--profile-from",
            self.path("p"),
            "--no-profile",
            output=self.path("rebuilt"),
        )
        text = support.run([support.HAFT, "trace", "--all", rebuilt]).stderr
        self.assertRegex(text, r"index  site-packages/traced/__pycache__/later")

    def test_python_children(self):
        code = (
            "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import "
            "traced.later'], check=True)"
        )
        events = self.events(code)
        later = [
            event
            for event in events
            if event.get("cat") == "import" and event["name"] == "traced.later"
        ]
        self.assertEqual(len({event["pid"] for event in later}), 2)

    def test_failed_imports(self):
        events = self.events("\ntry:\n    import traced.missing\nexcept ImportError:\n    pass")
        failed = [event["name"] for event in events if event.get("cat") == "failed import"]
        self.assertIn("traced.missing", failed)

    def test_tracebacks_stay_as_they_are(self):
        code = "import traced.missing"
        plain = support.run([app(), code])
        traced = self.trace("--table", self.path("t"), program=[code])
        self.assertIn("ModuleNotFoundError: No module named 'traced.missing'", plain.stderr)
        self.assertEqual(traced.stderr, plain.stderr)

    def test_killed_program(self):
        done = self.trace("--table", self.path("t"), program=["os.kill(os.getpid(), 9)"])
        self.assertEqual(done.returncode, -signal.SIGKILL)
        with open(self.path("t"), encoding="utf-8") as file:
            self.assertIn("killed by signal 9", file.read())

    @support.parametrised(sig=["TERM", "INT", "HUP", "USR1"])
    def test_signals_reach_the_program(self, sig):
        code = (
            f"import signal, time; signal.signal(signal.SIG{sig}, lambda *_: sys.exit(42)); "
            f"os.write(1, b'ready\\n'); time.sleep(30)"
        )
        with self.clean():
            tracer = support.start(
                [support.HAFT, "trace", "--table", self.path("t"), app(), code],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            with tracer:
                while tracer.stdout.readline() != b"ready\n":
                    pass
                tracer.send_signal(getattr(signal, f"SIG{sig}"))
                self.assertEqual(tracer.wait(20), 42)

    def test_stops_with_the_program(self):
        code = (
            "import signal; os.write(1, b'ready\\n'); os.kill(os.getpid(), signal.SIGSTOP); "
            "sys.exit(3)"
        )
        tracer = support.start(
            [support.HAFT, "trace", "--table", self.path("t"), app(), code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with tracer:
            _, status = os.waitpid(tracer.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status))
            tracer.send_signal(signal.SIGCONT)
            self.assertEqual(tracer.wait(20), 3)

    def test_nothing_stays(self):
        os.mkdir(self.path("tmp"))
        self.trace("--table", self.path("t"), env=support.clean_env(TMPDIR=self.path("tmp")))
        self.assertEqual(os.listdir(self.path("tmp")), [])

    def test_errors_in_one_line(self):
        for words, status, text in (
            ([], 2, "FILE is missing"),
            (["--top", "x", app()], 2, "not a whole number"),
            (["--json", "-", "--html", "-", app()], 2, "more than one result to standard output"),
            (["/not/there"], 1, "No such file or directory"),
            ([__file__], 1, __file__),
            (["--html", "/not/there/page", app()], 1, "/not/there/page"),
        ):
            with self.subTest(words=words):
                done = support.run([support.HAFT, "trace", *words])
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertRegex(done.stderr, r"^haft: [^\n]*\n$")
                self.assertIn(text, done.stderr)

    def test_what_is_there_before_the_first_import_has_no_importer(self):
        """A page that a module touched later had made it the importer of the interpreter."""
        bundle = support.app(
            "inside",
            {"inside.py": "import json, decimal, ssl\ndef main(): pass\n"},
            "-e",
            "inside:main",
            "--bundle-python",
        )
        text = support.run([support.HAFT, "trace", "--all", bundle]).stderr
        files = text[text.index("files in the order") : text.index("slowest imports")]
        self.assertRegex(files, r"(?m) usr/libexec/python3\.\d+$")
        self.assertRegex(files, r"(?m) usr/lib/libc\.so\.6$")
        self.assertRegex(files, r"(?m) usr/lib/libssl\.so\.3 +\[_ssl\]$")
        self.assertNotIn("_haft_trace", files)

    def test_a_foreign_descriptor_is_no_log(self):
        for value, text in (("0", "no descriptor"), ("77", "Bad file descriptor")):
            done = support.run([app()], env=support.clean_env(HAFT_TRACE_LOG=value))
            self.assertEqual(done.returncode, 125)
            self.assertIn(text, done.stderr)

    @needs("chromium")
    def test_page_in_a_browser(self):
        page = self.path("t.html")
        self.trace("--html", page)
        with open(page, encoding="utf-8") as file:
            source = file.read()
        self.assertNotRegex(source, r'(src|href)="')  # self-contained
        self.assertNotIn("http:", source)
        html = open_page(page, "--dump-dom")
        self.assertIn("<title>haft trace: traced</title>", html)
        waterfall = cells(html, "waterfall")
        big = next(row for row in waterfall if row[6].endswith("traced/big.bin"))
        self.assertEqual(big[3], "625.0 KiB")
        self.assertEqual(big[5], "read")
        self.assertEqual(big[7], "traced.main")
        second = next(row for row in waterfall if "__pycache__/second" in row[6])
        self.assertEqual(second[7], "traced.second ← traced.first")
        times = [float(row[1]) for row in waterfall]
        self.assertEqual(times, sorted(times))
        self.assertIn("traced.later", [row[3] for row in cells(html, "imports")])
        slowest = [float(row[1]) for row in cells(html, "slowest")]
        self.assertEqual(slowest, sorted(slowest, reverse=True))
        unused = cells(html, "unused")
        self.assertEqual(unused[0], ["120.6 KiB", "site-packages/traced/never.txt"])


if __name__ == "__main__":
    unittest.main()
