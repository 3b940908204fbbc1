"""How often the kernel has to ask: the counters of .haft/stats."""

import os

import support
from support import fs_manifest, fs_support
from support.mounting import Mounted

SECONDS = 15
IMPORTS = (
    "import django.db.models, django.http, django.template, django.core.management, "
    "django.contrib.admin"
)


class TestCounters(support.TestCase):
    @classmethod
    def setUpClass(cls):
        tree = support.unique_dir("counters")
        arguments = fs_support.program(tree)
        for directory in ("listed", "misses"):
            (tree / directory).mkdir()
            for number in range(400):
                (tree / directory / f"file-{number}-with-a-name-as-modules-have.py").write_text(
                    f"{number}\n"
                )
        cls.bundle = support.build(
            tree, *arguments, "--no-compile", output=support.unique_dir("counted") / "counters"
        )

    def test_real_load(self):
        """Reading everything and importing much: at most one OPEN and OPENDIR, no RELEASE, one
        refused getxattr."""
        bundle = support.bundle("python3-django", "-m", "django")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            fs_manifest.manifest(mount.tree)
            support.run(
                [support.PYTHON, "-c", IMPORTS],
                check=True,
                env=support.clean_env(PYTHONPATH=os.fsdecode(mount.tree)),
            )
            support.run(["ls", "-lR", mount.tree], check=True)
            support.run(["grep", "-rqs", "no such text anywhere", mount.tree])
            done = mount.operations()
        for name, most in (
            ("open", 1),
            ("opendir", 1),
            ("release", 0),
            ("releasedir", 0),
            ("flush", 1),
            ("access", 1),
            ("getxattr", 1),
            ("listxattr", 1),
        ):
            self.assertLessEqual(done.get(name, 0), most, f"{name} in {done}")
        self.assertGreater(done["read"], 100)

    def test_listed_then_stated(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            path = mount.tree + b"/listed"
            os.stat(path)
            caused, names = mount.count(lambda: os.listdir(path))
            self.assertEqual(len(names), 400)
            self.assertEqual(set(caused) - {"opendir"}, {"readdirplus"}, caused)
            self.assertLessEqual(caused["readdirplus"], 3)
            caused, _ = mount.count(lambda: [os.stat(path + b"/" + name) for name in names])
            self.assertEqual(caused, {}, "stat of what was listed")
            caused, again = mount.count(lambda: os.listdir(path))
            self.assertEqual(caused, {}, "second listing")
            self.assertEqual(names, again)

            def long_listing():
                support.run(["ls", "-l", path], check=True)

            long_listing()  # asks for extended attributes once
            caused, _ = mount.count(long_listing)
            self.assertEqual(caused, {}, "ls -l")

    def test_repeated_misses(self):
        """100 names that do not exist, 1000 times each."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            path = os.fsdecode(mount.tree) + "/misses"
            os.stat(path)
            missing = [f"{path}/missing-{number}" for number in range(100)]

            def look():
                for _ in range(1000):
                    for name in missing:
                        if os.access(name, os.F_OK):
                            raise AssertionError(name)

            caused, _ = mount.count(look)
            self.assertEqual(set(caused), {"lookup"}, caused)
            self.assertLessEqual(caused["lookup"], 100)
            caused, _ = mount.count(look)
            self.assertEqual(caused, {})

    def test_second_import(self):
        """A new Python that imports the same modules reads nothing from the server."""
        bundle = support.bundle("python3-django", "-m", "django")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            environment = support.clean_env(PYTHONPATH=os.fsdecode(mount.tree))

            def load():
                support.run([support.PYTHON, "-c", IMPORTS], env=environment, check=True)

            first, _ = mount.count(load)
            self.assertGreater(first["read"], 50, "nothing was imported from the mount")
            second, _ = mount.count(load)
        for name in (
            "read",
            "lookup",
            "getattr",
            "open",
            "opendir",
            "readdirplus",
            "readdir",
            "release",
        ):
            self.assertEqual(second.get(name, 0), 0, f"{name}: {second}")

    def test_second_reading(self):
        """A whole file read again costs nothing; a large one is read in large pieces."""
        tree = support.unique_dir("pieces")
        arguments = fs_support.program(tree)
        fs_support.put(os.fsencode(tree) + b"/large", fs_support.odd_bytes(16 << 20, 4))
        bundle = support.build(tree, *arguments, output=support.unique_dir("pieces-out") / "pieces")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:

            def read():
                with open(mount.tree + b"/large", "rb", buffering=0) as file:
                    while file.read(1 << 16):
                        pass

            caused, _ = mount.count(read)
            self.assertLessEqual(
                caused["read"], 16 * 8 + 16, "READs for 16 MiB: mean piece below 128 KiB"
            )
            caused, _ = mount.count(read)
            self.assertEqual(caused, {})

    def test_counters_of_a_running_bundle(self, mode):
        """The program itself can read the counters of its mount."""
        code = (
            "import json, os\n"
            "path = '/run/haft/' + os.path.abspath(__file__).split('/')[3] + '/.haft/stats'\n"
            "first = json.load(open(path))\n"
            "second = json.load(open(path))\n"
            "assert second['operations']['read'] > first['operations']['read'], (first, second)\n"
            "assert second['server']['rss_bytes'] > 0\n"
            "assert second['operations'].get('open', 0) <= 1\n"
            "assert isinstance(second['cache'], dict)\n"
            "print('fresh')\n"
        )
        with self.clean():
            done = support.run([support.code_app("fs-counters", code)], mode=mode)
        self.assertEqual((done.stdout, done.stderr), ("fresh\n", ""))


class TestPrefetchBlocks(support.TestCase):
    @classmethod
    def setUpClass(cls):
        tree = support.unique_dir("ahead")
        cls.arguments = fs_support.program(tree)
        cls.block = 128 << 10
        cls.count = 256
        cls.large = b"".join(
            os.urandom(cls.block // 2) + bytes(cls.block // 2) for _ in range(cls.count)
        )
        (tree / "large.bin").write_bytes(cls.large)
        cls.bundle = support.build(
            tree,
            *cls.arguments,
            "--compression",
            "lz4",
            output=support.unique_dir("ahead-out") / "ahead",
        )

    def read(self):
        """What reading the file from beginning to end did to the server's cache."""
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            before = mount.stats()["cache"]
            with open(mount.tree + b"/large.bin", "rb", 0) as file:
                done = b"".join(iter(lambda: file.read(self.block), b""))
            after = mount.stats()["cache"]
        self.assertEqual(done, self.large)
        return {name: after[name] - before[name] for name in ("hits", "misses")}

    def test_blocks_are_decoded_once_and_ahead(self):
        done = self.read()
        self.assertLessEqual(
            done["misses"], self.count + 1, done
        )  # and one of the snapshot's directory at most
        if len(os.sched_getaffinity(0)) > 1:
            self.assertGreater(done["hits"], 10, done)

    def test_not_with_one_cpu(self):
        every = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, every)
        os.sched_setaffinity(0, {min(every)})
        done = self.read()
        self.assertLess(done["hits"], 10, done)
