"""What serves an image can do nothing else: what somebody gains who takes over a server."""

import fcntl
import json
import os
import re
import signal
import subprocess
import time
import unittest

import support
from support.archives import write_zip
from support.forced_call import force_call

CODE = (
    "print('ready', flush=True)\n"
    "for line in sys.stdin: print(open(stats()).read().replace('\\n', ''), flush=True)"
)
STATS = "stats = lambda: os.environ['PYTHONPATH'].split('/.haft')[0] + '/.haft/stats'\n"


def status(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def kernel_resends():
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups())) >= (6, 9)


class SandboxCase(support.TestCase):
    def start(self, way):
        mode = "namespace" if way == "namespace" else "userns"  # who starts it
        process = support.start(
            [support.lab(), STATS + CODE],
            mode=mode if os.geteuid() == 0 else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=support.clean_env(HAFT_MODE=way),
        )
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def stats(self, process):
        process.stdin.write("\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())["server"]

    def assertConfined(self, pid, bounding=True):
        fields = status(pid)
        self.assertEqual(fields["NoNewPrivs"], "1", fields["Name"])
        self.assertEqual(fields["Seccomp"], "2", fields["Name"])
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if bounding else [])):
            self.assertEqual(int(fields[name], 16), 0, f"{fields['Name']}: {name}")


WAYS = ("namespace", "userns", "fusermount") if os.geteuid() == 0 else ("userns", "fusermount")


class TestConfined(SandboxCase):
    @support.parametrised(way=WAYS)
    def test_server_and_supervisor(self, way):
        with self.clean(quiet_host=False):
            process = self.start(way)
            server = self.stats(process)
            # An ordinary user has no right to give up what he does not have.
            for pid in (server["pid"], server["supervisor"]):
                self.assertConfined(pid, bounding=way != "fusermount")
            self.assertGreater(server["rss_bytes"], 100_000)
            process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)

    @support.parametrised(user=[False, True] if os.geteuid() == 0 else [None])
    def test_server_of_haft_mount(self, user):
        become = support.as_user if user else list
        with self.clean(quiet_host=False):
            point = support.unique_dir(mode=0o777) / "point"
            support.run(become(["mkdir", point]), check=True)
            support.run(become([support.HAFT, "mount", support.lab(), point]), check=True)
            show = support.run(become(["cat", point / ".haft/stats"]), check=True).stdout
            self.assertConfined(json.loads(show)["server"]["pid"], bounding=not user)
            support.run(become([support.HAFT, "umount", point]), check=True)


@unittest.skipIf(os.geteuid(), "needs root")
class TestTakenOver(SandboxCase):
    @unittest.skipUnless(kernel_resends(), "Linux before 6.9 cannot send requests again")
    @support.parametrised(way=WAYS, call=["execve", "socket", "ptrace", "kill"])
    def test_server_that_does_more_is_killed_and_replaced(self, way, call):
        with self.clean(quiet_host=False):
            process = self.start(way)
            first = self.stats(process)
            time.sleep(0.05)  # it waits for a request
            force_call(first["pid"], call)
            self.assertTrue(
                support.wait_until(lambda: support.state(first["pid"]) in (None, "Z"), 2, 0.001)
            )
            second = self.stats(process)
            self.assertNotEqual(second["pid"], first["pid"])
            self.assertEqual(second["deaths"], 1)
            self.assertIn(f"killed by signal {int(signal.SIGSYS)}", second["last_death"])
            self.assertConfined(second["pid"], bounding=way != "fusermount")
            process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)

    def test_server_of_haft_mount_leaves_errors_and_not_an_empty_directory(self):
        with self.clean(quiet_host=False):
            point = support.unique_dir()
            process = support.start(
                [support.HAFT, "mount", "--foreground", support.lab(), point],
                stderr=subprocess.PIPE,
                text=True,
            )
            self.assertTrue(support.wait_until(lambda: os.path.ismount(point)))
            server = json.loads((point / ".haft/stats").read_text())["server"]["pid"]
            time.sleep(0.05)
            force_call(server, "socket")
            _, errors = process.communicate(timeout=5)
            self.assertEqual(process.returncode, 1)
            self.assertOneLine(errors, "killed by signal 31", "haft umount")
            with self.assertRaises(OSError):
                os.listdir(point)
            support.haft("umount", point)


class TestCommandsThatShow(SandboxCase):
    """ls, cat, info, verify and extract decode files of anybody with the rights of their caller."""

    def confined(self, *arguments):
        """The fields of /proc/PID/status once the command has looked at the file: it then waits,
        since nobody reads what it has to say."""
        reading, writing = os.pipe()
        flags = fcntl.fcntl(writing, fcntl.F_GETFL)
        fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        try:
            while True:
                os.write(writing, b"x" * 4096)
        except BlockingIOError:
            fcntl.fcntl(writing, fcntl.F_SETFL, flags)
        process = subprocess.Popen(
            [support.HAFT, *map(str, arguments)], stdout=writing, stderr=writing
        )
        os.close(writing)
        try:
            confined = support.wait_until(lambda: status(process.pid).get("Seccomp") == "2")
            return confined and status(process.pid)
        finally:
            while os.read(reading, 65536):
                pass
            os.close(reading)
            process.wait(timeout=10)

    @support.parametrised(file=["bundle", "archive"])
    def test_cannot_do_anything_else(self, file):
        bundle = support.lab()
        if file == "archive":
            bundle = write_zip(support.unique_dir() / "z.zip", {"a/b.py": "1", "c": "x" * 9999})
        full = support.unique_dir()
        (full / "name").touch()
        inside = "c" if file == "archive" else ".haft/py/sitecustomize.py"
        for command in (
            ["ls", "-R", bundle],
            ["cat", bundle, inside],
            ["info", bundle],
            ["info", "--json", bundle],
            ["verify", bundle],
            ["extract", bundle, full],
        ):
            with self.subTest(command=command[:2]):
                fields = self.confined(*command)
                self.assertTrue(fields, "never confined")
                self.assertEqual(fields["NoNewPrivs"], "1")
                # To extract, root keeps what writes into a directory of somebody else.
                kept = 0b1110 if command[0] == "extract" and os.geteuid() == 0 else 0
                self.assertEqual(int(fields["CapEff"], 16) | kept, kept)
                if os.geteuid() == 0:
                    self.assertEqual(int(fields["CapBnd"], 16), 0)

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_root_extracts_into_a_directory_of_somebody_else(self):
        home = support.PERSON.own(support.unique_dir(mode=0o755))
        support.haft("extract", support.lab(), home / "out")
        self.assertTrue((home / "out/.haft/py").is_dir())
        self.assertEqual((home / "out").stat().st_uid, 0)
