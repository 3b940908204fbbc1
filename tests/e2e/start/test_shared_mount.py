"""Mode fusermount: all starts of an image by one user share one mount, at a path that stays."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import unittest

import support

SECONDS = 20

CODE = (
    "import lab; print(lab.__file__, flush=True); sys.stdin.readline(); "
    "import lab_lazy.m5; print(lab_lazy.m5.VALUE)"
)


@unittest.skipIf(os.geteuid(), "needs root")
class TestSharedMount(support.TestCase):
    def setUp(self):
        self.runtime = support.PERSON.own(support.unique_dir("runtime", 0o700))
        self.env = support.clean_env(HAFT_MODE="fusermount", XDG_RUNTIME_DIR=str(self.runtime))

    @contextlib.contextmanager
    def cleanly(self):
        with self.clean(timeout=4.0, quiet_host=False):
            yield
        self.assertEqual(os.listdir(self.runtime), [])

    def begin(self, command=None):
        """A start that waits for a line; (process, directory of its files)."""
        command = command or support.as_user([support.lab(), CODE])
        process = subprocess.Popen(
            command, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.kill)
        place = process.stdout.readline().removesuffix("/site-packages/lab.py\n")
        self.assertTrue(place.startswith("/"), place)
        return process, place

    def finish(self, process):
        self.assertEqual(process.communicate("\n", timeout=10)[0], "5\n")
        self.assertEqual(process.returncode, 0)

    def test_second_start_mounts_nothing(self):
        with self.cleanly():
            first, place = self.begin()
            self.assertRegex(
                place, rf"^{re.escape(str(self.runtime))}/haft/lab-[0-9a-f]{{32}}/lab$"
            )
            servers = support.servers()
            second, same = self.begin()
            self.assertEqual((same, support.servers()), (place, servers))
            self.finish(first)
            third, same = self.begin()  # the first one's cleanup process has ended
            self.assertEqual((same, support.servers()), (place, servers))
            self.finish(second)
            self.finish(third)

    def test_path_stays_the_same_from_start_to_start(self):
        places = []
        for _ in range(2):
            with self.cleanly():
                process, place = self.begin()
                self.finish(process)
            places.append(place)
        self.assertEqual(places[0], places[1])

    def test_dead_server_is_replaced_by_the_next_start(self):
        with self.cleanly():
            first, place = self.begin()
            for name in ("haft-supervisor", "haft-server"):
                for pid in support.haft_processes():
                    if support.process_name(pid) == name:
                        os.kill(pid, signal.SIGKILL)
            self.assertTrue(support.wait_until(lambda: not support.servers(), 2))
            second, same = self.begin()
            self.assertEqual(same, place)
            self.finish(second)
            first.kill()
            first.communicate()

    def test_descendant_keeps_what_others_have_left(self):
        """The cleanup process of the last start looks after what earlier ones have started."""
        with self.cleanly():
            code = (
                "child = 'import sys, lab; print(lab.__file__, flush=True); sys.stdin.readline(); "
                "import lab_lazy.m5; print(lab_lazy.m5.VALUE)'\n"
                "subprocess.Popen([sys.executable, '-c', child], start_new_session=True)"
            )
            first, place = self.begin(
                support.as_user([support.lab(), f"import subprocess\n{code}"])
            )
            self.assertEqual(first.wait(10), 0)
            second, same = self.begin()
            self.assertEqual(same, place)
            self.finish(second)
            first.stdin.write("\n")
            first.stdin.close()
            self.assertEqual(first.stdout.read(), "5\n")

    @support.parametrised(unsafe=["open to others", "of another user", "relative"])
    def test_runtime_directory_that_is_not_safe_is_not_used(self, unsafe):
        if unsafe == "open to others":
            self.runtime.chmod(0o777)
        elif unsafe == "of another user":
            os.chown(self.runtime, 4242, 4242)
        else:
            self.env["XDG_RUNTIME_DIR"] = "runtime"
        with self.cleanly():
            process, place = self.begin()
            self.assertRegex(place, rf"^/tmp/haft-{support.PERSON.uid}/lab-")
            self.finish(process)

    def test_start_with_another_group_has_a_mount_of_its_own(self):
        """The kernel shows a user's mount to processes of one group."""
        with self.cleanly():
            first, place = self.begin()
            other = support.User("other", support.PERSON.uid, 1730)
            second, own = self.begin(support.as_user([support.lab(), CODE], other))
            self.assertNotEqual(own, place)
            self.assertEqual(pathlib.Path(own).parents[1], pathlib.Path(place).parents[1])
            self.finish(second)
            self.finish(first)
