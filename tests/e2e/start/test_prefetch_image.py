"""What a start needs is fetched before the program asks for it, and nothing is left of whoever did
that."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import support

SECONDS = 10

# Reads a file of the profile. What it costs is what the counters say before and after.
ENTRY = """
import json, os, sys, time
HERE = os.path.dirname(__file__)
def reads():
    if not os.path.isdir("/run/haft/warm"):
        return 0  # while the profile is recorded
    with open(os.path.join(HERE, "..", ".haft", "stats")) as file:
        return json.load(file)["operations"]["read"]
def processes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status") as file:
                status = dict(line.rstrip("\\n").split(":\\t", 1) for line in file
                    if ":\\t" in line)
        except OSError:
            continue
        if status["Name"].startswith("haft-"):
            found.append((status["Name"], status["State"][0], status["Cpus_allowed_list"]))
    return sorted(found)
def main():
    end = time.monotonic() + 10
    while any(name == "haft-prefetch" for name, _, _ in processes()) and time.monotonic() < end:
        time.sleep(0.01)
    before = reads()
    with open(os.path.join(HERE, "data", "large.bin"), "rb") as file:
        size = len(file.read())
    print(reads() - before, size)
    mine = next(line.split()[1] for line in open("/proc/self/status")
        if line.startswith("Cpus_allowed_list"))
    end = time.monotonic() + 2
    while any(cpus != mine for _, _, cpus in processes()) and time.monotonic() < end:
        with open(os.path.join(HERE, "data", "large.bin"), "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.read()  # the server notices between two requests that the prefetch is over
    for line in processes():
        print(*line)
    print("mine", "-", mine)
"""


class TestPrefetchImage(support.TestCase):
    @classmethod
    def setUpClass(cls):
        tree = support.unique_dir("warm")
        (tree / "data").mkdir()
        (tree / "data" / "large.bin").write_bytes(os.urandom(1_000_000))
        (tree / "warm.py").write_text(ENTRY)
        cls.bundle = support.build(
            tree, "-e", "warm:main", "--profile", "", output=support.unique_dir("warm-out") / "warm"
        )

    def start(self, **variables):
        done = support.run([self.bundle], env=support.clean_env(**variables), check=True)
        lines = done.stdout.splitlines()
        reads, size = map(int, lines[0].split())
        self.assertEqual(size, 1_000_000)
        return reads, [line.split() for line in lines[1:]]

    def test_file_of_the_profile_is_there_already(self):
        if len(os.sched_getaffinity(0)) > 1:
            reads, _ = self.start()
            self.assertLessEqual(reads, 1)  # of the counters

    def test_switched_off(self):
        reads, _ = self.start(HAFT_PREFETCH="0")
        self.assertGreater(reads, 2)

    def test_off_with_one_cpu(self):
        done = support.run(
            ["taskset", "-c", str(min(os.sched_getaffinity(0))), self.bundle],
            env=support.clean_env(),
            check=True,
        )
        self.assertGreater(int(done.stdout.split()[0]), 2)

    def test_processes_are_as_without_it(self):
        """No zombie, and the supervisor and the server may run on every CPU the program may run
        on."""
        _, processes = self.start()
        mine = processes.pop()[2]
        self.assertEqual([name for name, _, _ in processes], ["haft-server", "haft-supervisor"])
        for name, state, cpus in processes:
            self.assertIn(state, "RS", name)
            self.assertEqual(cpus, mine, name)

    def test_killed_prefetch(self):
        """A stopped one is noticed by nobody; a killed one neither."""
        for sent in (signal.SIGSTOP, signal.SIGKILL):
            with self.subTest(sent=sent):
                program = support.start(
                    [self.bundle], env=support.clean_env(), stdout=subprocess.PIPE
                )
                end = time.monotonic() + 5
                while time.monotonic() < end and program.poll() is None:
                    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
                        try:
                            text = status.read_text()
                        except OSError:
                            continue
                        if text.startswith("Name:\thaft-prefetch\n"):
                            pid = int(re.search(r"^Pid:\t(\d+)", text, re.M)[1])
                            try:
                                os.kill(pid, sent)
                                if sent == signal.SIGSTOP:
                                    time.sleep(0.2)
                                    os.kill(pid, signal.SIGCONT)
                            except ProcessLookupError:
                                pass
                out, _ = program.communicate(timeout=20)
                self.assertEqual(program.returncode, 0)
                self.assertEqual(int(out.split()[1]), 1_000_000)


class TestLibrariesUsedInPart(support.TestCase):
    """The recorder had compared the tree's paths with what the kernel calls mapped files, which are
    where links lead to."""

    def test_profile_of_a_linked_tree_knows_the_parts_of_libraries(self):
        tree = support.unique_dir("parts")
        source = tree.parent / (tree.name + ".c")
        source.write_text(
            "#include <stddef.h>\n"
            "__attribute__((aligned(65536))) const unsigned char large[16 << 20] = {1, [8 << "
            "20] = 2, [(16 << 20) - 1] = 3};\n"
            "int at(size_t i) { return large[i]; }\n"
        )
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", tree / "libparts.so", source], check=True
        )
        (tree / "parts.py").write_text(
            "import ctypes, os\n"
            "def main():\n"
            "    library = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'libparts.so'))\n"
            "    print(library.at(8 << 20), library.at((16 << 20) - 1), library.at(5))\n"
        )
        bundle = support.build(
            tree,
            "-e",
            "parts:main",
            "--profile",
            "",
            output=support.unique_dir("parts-out") / "parts",
        )
        self.assertEqual(support.run([bundle], check=True).stdout, "2 3 0\n")
        image = pathlib.Path(bundle).read_bytes()
        start = image.rindex(b'{"files":[')
        profile = json.JSONDecoder().raw_decode(image[start:].decode("utf-8", "replace"))[0]
        used = profile["ranges"]["site-packages/libparts.so"]
        self.assertLess(
            sum(size for _, size in used), 8 << 20
        )  # the kernel may map a MiB where a byte is touched
        self.assertGreaterEqual(len(used), 2, used)
        self.assertEqual(
            [[p[0], *p[1:]] for p in profile["ahead"] if p[0].endswith("libparts.so")],
            [["site-packages/libparts.so", *part] for part in used],
        )
        copy = support.unique_dir("parts-extracted")
        support.run([support.HAFT, "extract", bundle, copy / "x"], check=True)
        self.assertEqual(
            (copy / "x/site-packages/libparts.so").read_bytes(), (tree / "libparts.so").read_bytes()
        )
