"""What the run that makes a profile records, and what it leaves alone."""

import ctypes
import json
import os
import pathlib
import py_compile
import resource
import struct
import textwrap
import zipfile

import support

SECONDS = 20


def build(tree, *arguments, **options):
    return support.build(
        tree, *arguments, output=support.unique_dir("profiled-out") / "profiled", **options
    )


def profile_of(bundle):
    data = pathlib.Path(bundle).read_bytes()
    return json.JSONDecoder().raw_decode(
        data[data.rindex(b'{"files":[') :].decode("utf-8", "replace")
    )[0]


def deny_personality():
    """For preexec_fn: personality(2) fails with EPERM, as by the seccomp filters of some
    containers."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    number = {"x86_64": 135, "aarch64": 92}[os.uname().machine]
    load, jump_if_equal, reply = 0x20, 0x15, 0x06
    steps = [
        (load, 0, 0, 0),
        (jump_if_equal, 0, 1, number),
        (reply, 0, 0, 0x0005_0001),
        (reply, 0, 0, 0x7FFF_0000),
    ]
    program = Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(
        22, 2, ctypes.byref(program), 0, 0
    ):  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        raise OSError(ctypes.get_errno(), "seccomp")


# By the path of the file, not of the link to it: as the loader brings it, without an event.
MAPPED = """
import mmap, os
with open(os.path.realpath(os.path.join(os.path.dirname(__file__), "libbrought.so")), "rb") as file:
    KEPT = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
KEPT[0]
def main():
    print(len(KEPT))
"""


def limit_written_memory():
    """For preexec_fn. File mappings do not count."""
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))


class TestMappedLibraries(support.TestCase):
    LIBRARY = "site-packages/libbrought.so"

    def write_tree(self, tree):
        (tree / "libbrought.so").write_bytes(os.urandom(8 << 20))
        (tree / "mapped.py").write_text(MAPPED)
        return tree

    def setUp(self):
        self.tree = self.write_tree(support.unique_dir("mapped"))

    def test_parts_of_a_library_that_is_only_mapped(self):
        profile = profile_of(build(self.tree, "-e", "mapped:main"))
        self.assertIn(self.LIBRARY, profile["files"])
        self.assertLess(sum(size for _, size in profile["ranges"][self.LIBRARY]), 8 << 20)

    def test_a_large_mapped_file_is_not_looked_through(self):
        """Of a database of 1 TiB the pagemap has 2 GiB."""
        with open(self.tree / "mapped.py", "a", encoding="utf-8") as module:
            module.write(
                "import tempfile\nfile = tempfile.TemporaryFile()\nfile.truncate(1 << 40)\n"
                "LARGE = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\nLARGE[1 << 39]\n"
            )
        self.assertIn(
            self.LIBRARY,
            profile_of(build(self.tree, "-e", "mapped:main", preexec_fn=limit_written_memory))[
                "ranges"
            ],
        )

    def test_without_fixed_addresses_a_library_is_taken_as_a_whole(self):
        """The pages that are mapped vary with the addresses then, and two builds had differed."""
        bundles = [
            build(self.tree, "-e", "mapped:main", preexec_fn=deny_personality) for _ in range(2)
        ]
        profile = profile_of(bundles[0])
        self.assertIn(self.LIBRARY, profile["files"])
        self.assertNotIn("ranges", profile)
        self.assertEqual(bundles[0].read_bytes(), bundles[1].read_bytes())

    def test_a_tree_below_usr_share_is_not_the_hosts(self):
        with self.covered("/usr/share/misc"):
            tree = pathlib.Path("/usr/share/misc/haft-tree")
            tree.mkdir()
            profile = profile_of(build(self.write_tree(tree), "-e", "mapped:main"))
        self.assertIn(self.LIBRARY, profile["files"])
        self.assertFalse([path for path in profile["host"] if "haft-tree" in path])


class TestRecorder(support.TestCase):
    """Of a program that ends its imports with that of `reached`, if nothing of the recorder got in
    its way."""

    def record(self, text):
        tree = support.unique_dir("recorded")
        head = "import os\nHERE = os.path.dirname(__file__) + '/'\n"
        (tree / "recorded.py").write_text(
            head + textwrap.dedent(text) + "\nimport reached\ndef main(): pass\n"
        )
        (tree / "reached.py").write_text("")
        profile = profile_of(build(tree, "-e", "recorded:main"))
        self.assertTrue(any("reached" in path for path in profile["files"]), profile["files"])
        return profile

    def missing(self, text):
        """Those of the program's own."""
        prefix = "site-packages/data."
        return [
            path.removeprefix(prefix)
            for path in self.record(text).get("missing", [])
            if path.startswith(prefix)
        ]

    def test_stat_of_odd_paths_fails_as_without_the_recorder(self):
        self.assertEqual(
            ["1", "2"],
            self.missing("""
            class Once:
                asked = False
                def __fspath__(self):
                    if self.asked:
                        raise RuntimeError("asked twice")
                    self.asked = True
                    return HERE + "data.once"
                def __str__(self):
                    raise RuntimeError("shown")
            def fails(kind, *arguments, **options):
                try:
                    os.stat(*arguments, **options)
                except kind as error:
                    assert type(error) is kind, error
                else:
                    assert False
            fails(FileNotFoundError, Once())
            fails(FileNotFoundError, HERE + "data.1")
            fails(FileNotFoundError, os.fsencode(HERE + "data.2"))
            fails(FileNotFoundError, "")
            fails(TypeError, None)
            directory = os.open(HERE, os.O_RDONLY)
            fails(FileNotFoundError, "data.3", dir_fd=directory)
            os.stat("recorded.py", dir_fd=directory)
            os.stat(directory)
            """),
        )

    def test_files_the_program_would_make_are_not_missing(self):
        """Nothing can be made there, as at a start."""
        self.assertEqual(
            ["absent"],
            self.missing("""
            def attempt(function, *arguments):
                try:
                    function(*arguments)
                except OSError:
                    pass
            for path in (HERE + "data.made", os.fsencode(HERE + "data.bytes")):
                attempt(open, path, "w")
                attempt(open, path)
            attempt(os.open, HERE + "data.exclusive", os.O_CREAT | os.O_EXCL)
            for name in ("data.absent", "data.gone/below"):
                attempt(open, HERE + name)
            """),
        )

    def test_host_has_libraries_and_data_only(self):
        host = self.record("""
            for path in ("/usr/src/haft-absent", "/usr/include/haft-absent",
                "/usr/local/lib/haft-absent",
                         "/usr/share/haft-wanted", "/usr/lib/haft-wanted"):
                try:
                    open(path)
                except OSError:
                    pass
            """)["host"]
        self.assertFalse([path for path in host if "haft-absent" in path])
        self.assertEqual(2, len([path for path in host if "haft-wanted" in path]), host)

    def test_a_program_run_as_a_module_needs_no_parser(self):
        """The recorder parses such a one. Its `ast` and `tokenize` had brought `re` unseen, and
        themselves into the list."""
        tree = support.unique_dir("parsed")
        (tree / "parsed.py").write_text(
            "if True:\n    import re\n    from json import decoder as kept\ntry:\n    import csv\n"
            "finally:\n    pass\ndef main():\n    import tarfile\nraise SystemExit('is run')\n"
        )
        host = profile_of(build(tree, "-m", "parsed"))["host"]
        for wanted in ("/re", "/json", "/csv", "/enum"):
            self.assertTrue([path for path in host if wanted in path], (wanted, host))
        for unwanted in ("/ast.", "/tokenize.", "/tarfile."):
            self.assertFalse([path for path in host if unwanted in path], unwanted)

    def test_a_module_out_of_a_zip_archive_is_followed(self):
        """Its source is no file of the tree."""
        tree = support.unique_dir("zipped")
        with zipfile.ZipFile(tree / "packed.egg", "w") as archive:
            archive.writestr("parts/", "")
            archive.writestr("parts/zipped.py", "import reached\nraise SystemExit('is run')\n")
        (tree / "packed.pth").write_text("packed.egg\n")
        (tree / "reached.py").write_text("")
        (tree / "parts").mkdir()
        (tree / "parts/other.py").write_text("")
        profile = profile_of(build(tree, "-m", "parts.zipped"))
        self.assertTrue([path for path in profile["files"] if "reached" in path], profile["files"])

    def test_a_module_without_source_is_not_followed(self):
        tree = support.unique_dir("sourceless")
        (tree / "plain.py").write_text("import sys\n")
        py_compile.compile(str(tree / "plain.py"), cfile=str(tree / "bare.pyc"), doraise=True)
        done = support.haft("build", "--site-packages", tree, "-m", "bare", "-o", tree / "out")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_program_does_not_see_the_recorder_read(self):
        """At every extension module it had called what the program made of open(), and what watches
        it had seen that."""
        self.record("""
            import builtins, sys
            seen = []
            def watch(event, arguments):
                if event == "open" and str(arguments[0]).startswith("/proc/"):
                    raise RuntimeError(seen.append(arguments[0]))
            sys.addaudithook(watch)
            plain, builtins.open = builtins.open, lambda *a, **k: seen.append(a) or plain(*a, **k)
            import _json, _decimal, _ctypes
            builtins.open = plain
            if seen: raise SystemExit(repr(seen))
            """)


class TestProfileFromATrace(support.TestCase):
    def build(self, *options):
        tree = support.write_tree(
            support.unique_dir("from"), {"from_trace.py": "def main(): pass\n", "data.bin": "x"}
        )
        (tree / "profile").write_text(json.dumps({"files": ["site-packages/data.bin"]}))
        return profile_of(
            build(tree, "-e", "from_trace:main", "--profile-from", tree / "profile", *options)
        )

    def test_what_a_trace_cannot_tell_is_recorded_beside_it(self):
        """What Python reads of the host was lost, and starts with an empty page cache took as long
        as ever."""
        profile = self.build()
        self.assertIn("site-packages/data.bin", profile["files"][:2])
        self.assertTrue([path for path in profile["files"] if "from_trace" in path])
        self.assertTrue(profile["host"])

    def test_profile_of_another_program_is_told(self):
        tree = support.write_tree(
            support.unique_dir("from"), {"from_trace.py": "def main(): pass\n"}
        )
        (tree / "profile").write_text(
            json.dumps({"files": ["site-packages/other.py", "../../etc/passwd"]})
        )
        done = support.haft(
            "build",
            "--site-packages",
            tree,
            "-e",
            "from_trace:main",
            "--profile-from",
            tree / "profile",
            "-o",
            tree / "out",
        )
        self.assertOneLine(done.stderr, "--profile-from", "none of its 2 files is in the bundle")

    def test_nothing_is_run_without_profile(self):
        files = self.build("--no-profile")["files"]
        files.remove(".haft/bin/profiled")  # the script that every start reads
        self.assertEqual(files, ["site-packages/data.bin"])


class TestBundledPython(support.TestCase):
    MODULES = (
        "asyncio",
        "email.message",
        "http.client",
        "json",
        "logging.config",
        "unittest.mock",
        "xml.dom.minidom",
    )
    APP = (
        f"import {', '.join(MODULES)}\ndef main():\n"
        f"    print(open('/run/haft/inside/.haft/stats').read())\n"
    )

    @classmethod
    def setUpClass(cls):
        cls.bundle = support.app(
            "inside", {"inside.py": cls.APP}, "-e", "inside:main", "--bundle-python"
        )

    def test_profile_holds_the_interpreter_and_its_library(self):
        """It had been run by the host's interpreter: what a start reads of its own lay scattered in
        the coldest blocks."""
        profile = profile_of(self.bundle)
        self.assertNotIn("host", profile)
        compiled = [
            path
            for path in profile["files"]
            if path.startswith("usr/lib/python3") and path.endswith(".pyc")
        ]
        self.assertGreater(len(compiled), 100, profile["files"])
        (program,) = [path for path in profile["files"] if path.startswith("usr/libexec/")]
        name = program.rpartition("/")[2]
        place = {path: number for number, path in enumerate(profile["files"])}
        order = [f"usr/bin/{name}", f"usr/loader/{name}", "usr/lib/libc.so.6", program, compiled[0]]
        self.assertEqual(sorted(order, key=place.__getitem__), order)
        # What an extension module brings is needed with it, not in the end.
        later = next(
            path for path in profile["files"] if "/_contextvars." in path or "/_json." in path
        )
        self.assertLess(place["usr/lib/libssl.so.3"], place[later])
        size = int(support.haft("ls", "-l", self.bundle, program).stdout.split()[1])
        self.assertLess(sum(part for _, part in profile["ranges"][program]), size)

    def test_of_several_programs_the_loader_of_python_is_taken(self):
        """They are one file of the host: the first by name, that of `ab`, had been prefetched."""
        tree = support.write_tree(
            support.unique_dir("httpd-inside"),
            {"site_inside.py": "def application(environ, start): return []\n"},
        )
        files = profile_of(build(tree, "--wsgi", "site_inside", "--bundle-httpd"))["files"]
        self.assertRegex(
            " ".join(path for path in files if "/loader/" in path), r"^usr/loader/python3\.\d+$"
        )

    def test_modules_of_its_library_come_from_the_index(self):
        def counters(**env):
            done = support.run([self.bundle], env=support.clean_env(**env), check=True)
            return json.loads(done.stdout)["operations"]

        with_index, without = counters(HAFT_INDEX="1"), counters(HAFT_INDEX="0")
        # One for every file that Python opens; before its index can be used it needs a few.
        self.assertLess(with_index["ioctl"], 20, with_index)
        self.assertGreater(without["ioctl"], 100, without)

    def test_where_nothing_can_be_executed_the_hosts_interpreter_is_taken(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount")
        directory = support.unique_dir("noexec")
        tree = support.write_tree(support.unique_dir(), {"inside.py": self.APP})
        script = (
            'mount -t tmpfs -o noexec none "$1" && TMPDIR=$1 && export TMPDIR && shift && exec "$@"'
        )
        done = support.run(
            [
                "unshare",
                "-m",
                "sh",
                "-c",
                script,
                "sh",
                directory,
                support.HAFT,
                "build",
                "--site-packages",
                tree,
                "-e",
                "inside:main",
                "--bundle-python",
                "-o",
                tree / "out",
            ],
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(
            "site-packages/__pycache__/inside", " ".join(profile_of(tree / "out")["files"])
        )
