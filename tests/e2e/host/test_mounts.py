"""The host's automounts, and mounts made and unmounted while a program runs, are what it sees."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import threading

import support
from support import paths
from support.host import HostCase, asked, plain

SECONDS = 10
AUTOMOUNT = paths.REPO / "tests/e2e/support/automount.py"


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def umount(*words):
    subprocess.run(["umount", *map(str, words)], check=True)


class TestAutomount(HostCase):
    @contextlib.contextmanager
    def automounted(self, kind, directory):
        """`directory` is served by an automount daemon; the context's value is (daemon, what it has
        been asked for)."""
        asked_for = []
        daemon = subprocess.Popen(
            [support.PYTHON, AUTOMOUNT, kind, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.assertEqual(daemon.stdout.readline(), "ready\n")
        reader = threading.Thread(
            target=lambda: asked_for.extend(line.strip() for line in daemon.stdout)
        )
        reader.start()
        try:
            yield daemon, asked_for
        finally:
            daemon.send_signal(signal.SIGCONT)
            daemon.stdin.close()
            self.assertEqual(daemon.wait(20), 0)
            reader.join()
            daemon.stdout.close()

    def test_working_directory(self, mode):
        """In an automount: it is there, its neighbours are mounted when they are asked for, and it
        stays as long as it is used."""
        place = support.unique_dir("auto")
        found = {}
        with self.clean(quiet_host=False):
            for name, command in (("plain", plain()), ("lab", [support.lab()])):
                with self.automounted("indirect", place) as (_, asked_for), asked(
                    command, mode, cwd=place / "work"
                ) as ask:
                    found[name] = [
                        ask(expression)
                        for expression in (
                            "os.getcwd()",
                            "os.listdir('.')",
                            "open('inside').read()",
                            "os.listdir('../other')",
                            "sorted(os.listdir('..'))",
                            f"os.listdir({str(place / 'third')!r})",
                            "os.stat('.').st_dev == os.stat('..').st_dev",
                            "subprocess.run(['cat', 'inside'], capture_output=True).stdout",
                        )
                    ]
                    busy = subprocess.run(
                        ["umount", place / "work"], check=False, capture_output=True
                    )
                    self.assertNotEqual(busy.returncode, 0)
                    self.assertEqual(ask("os.listdir('.')"), ["inside"])
                    ask("os.chdir('/')")
                    umount(place / "work")
                    self.assertTrue(
                        support.wait_until(lambda: asked_for == ["work", "other", "third"]),
                        asked_for,
                    )
        self.assertEqual(found["lab"], found["plain"])
        self.assertEqual(found["lab"][:3], [str(place / "work"), ["inside"], "inside\n"])

    def test_automount_at_the_top_is_not_set_off_by_a_start(self, mode):
        """/data from a file server, of all starts the first would wait for it. The program itself
        gets it, when it asks."""
        place = pathlib.Path(tempfile.mkdtemp(prefix="e2e-auto-", dir="/"))
        place.chmod(0o755)
        try:
            with self.clean(quiet_host=False), self.automounted("direct", place) as (
                daemon,
                asked_for,
            ):
                daemon.send_signal(signal.SIGSTOP)  # as if the file server were away
                with asked([support.lab()], mode) as ask:
                    self.assertIn(place.name, ask("os.listdir('/')"))
                    daemon.send_signal(signal.SIGCONT)
                    self.assertEqual(asked_for, [])
                    self.assertEqual(ask(f"os.listdir({str(place)!r})"), ["inside"])
                    self.assertTrue(support.wait_until(lambda: len(asked_for) == 1), asked_for)
        finally:
            place.rmdir()


class TestLaterMounts(HostCase):
    """The host's mounts as they change, in the program's namespace."""

    def bundles(self, table):
        return [line for line in table if line.split(" - ")[1].startswith("fuse.haft")]

    def test_mount_bind_and_unmount_are_seen(self, mode):
        place = support.unique_dir("later")
        for name in ("before", "new", "bound"):
            (place / name).mkdir()
        before = self.bundles(support.mount_table())
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.clean(quiet_host=False))
            mount("-t", "tmpfs", "none", place / "before")
            (place / "before/old").touch()
            ask = stack.enter_context(asked([support.lab()], mode))

            def seen(name):
                return ask(f"os.listdir({str(place / name)!r})")

            self.assertEqual((seen("before"), seen("new")), (["old"], []))
            mount("-t", "tmpfs", "-o", "mode=0777", "none", place / "new")
            (place / "new/file").touch()
            (place / "new/deep").mkdir()
            self.assertEqual(sorted(seen("new")), ["deep", "file"])
            mount("--bind", place / "new", place / "bound")
            mount("-t", "tmpfs", "none", place / "new/deep")
            (place / "new/deep/er").touch()
            self.assertEqual((sorted(seen("bound")), seen("new/deep")), (["deep", "file"], ["er"]))
            self.assertEqual(
                ask(
                    f"subprocess.run(['ls', {str(place / 'new/deep')!r}], "
                    f"capture_output=True).stdout"
                ),
                b"er\n",
            )
            ask(f"open({str(place / 'bound/written')!r}, 'w').close()")
            self.assertTrue((place / "new/written").exists())
            for name in ("new/deep", "bound", "new", "before"):
                umount(place / name)  # not busy: nothing of the bundle's holds it
            self.assertEqual((seen("new"), seen("bound"), seen("before")), ([], [], []))
            # What the bundle has mounted is in its own namespace only.
            self.assertEqual(self.bundles(support.mount_table()), before)
            own = [
                line
                for line in self.bundles(support.mount_table(ask.pid))
                if line.split()[4] == "/run/haft/lab"
            ]
            self.assertEqual(len(own), 1, own)
            self.assertNotIn("shared:", own[0])

    def test_mount_of_the_program_reaches_the_host(self):
        """And stays when the program has ended, until somebody unmounts it."""
        place = support.unique_dir("inner")
        with self.clean(quiet_host=False):
            with asked([support.lab()], "namespace") as ask:
                words = ["mount", "-t", "tmpfs", "none", str(place)]
                self.assertEqual(ask(f"subprocess.run({words}).returncode"), 0)
                self.assertEqual(ask(f"os.path.ismount({str(place)!r})"), True)
                self.assertTrue(os.path.ismount(place))
            self.assertTrue(os.path.ismount(place))
            umount(place)

    def test_fuse_mounts_below_one_another(self, mode):
        """The working directory is in a FUSE mount, made before the start or after it, inside
        another FUSE mount."""
        tree = support.write_tree(support.unique_dir("nest"), {"m.py": "", "nest/empty/.keep": ""})
        carrier = support.build(tree, "-m", "m", output=support.unique_dir() / "nest")
        outer = support.unique_dir("outer")
        inner = outer / "site-packages/nest/empty"
        with self.clean(quiet_host=False):
            support.haft("mount", "--allow-other", carrier, outer)
            try:
                mount("-t", "tmpfs", "none", inner)
                (inner / "dir").mkdir()
                support.haft("mount", "--allow-other", carrier, inner / "dir")
                deep = inner / "dir/site-packages/nest"
                with asked([support.lab()], mode, cwd=deep) as ask:
                    self.assertEqual(
                        (ask("os.getcwd()"), ask("os.listdir('.')")), (str(deep), ["empty"])
                    )
                    self.assertEqual(
                        ask("os.listdir(os.path.dirname(os.getcwd()))"), ask("os.listdir('..')")
                    )
                with asked([support.lab()], mode) as ask:
                    support.haft("umount", inner / "dir")
                    self.assertEqual(ask(f"os.listdir({str(inner / 'dir')!r})"), [])
                    support.haft("mount", "--allow-other", carrier, inner / "dir")
                    self.assertEqual(
                        ask(f"os.chdir({str(deep)!r}) or [os.getcwd(), os.listdir('.')]"),
                        [str(deep), ["empty"]],
                    )
                support.haft("umount", inner / "dir")
            finally:
                umount("-R", "-l", outer)
