"""The server of `haft mount`: its memory, and what its mount does when it is killed or stopped."""

import errno
import json
import os
import random
import signal
import subprocess
import time

import support
from support import fs_manifest, fs_support
from support.mounting import Mounted, data_bundle, memory_kb, mount_point

SECONDS = 25
RSS_KB = 40 * 1000


class TestMemory(support.TestCase):
    seconds = 120

    def check_memory(self, server, note):
        now, most = memory_kb(server)
        self.assertLessEqual(
            most, RSS_KB * fs_support.SLOWNESS, f"{note}: {now} KiB now, {most} KiB at most"
        )

    def test_reading_django(self):
        bundle = support.bundle("python3-django", "-m", "django")
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            server = mount.server()
            self.assertLessEqual(
                memory_kb(server)[0], 10_000 * fs_support.SLOWNESS, "after mounting"
            )
            fs_manifest.manifest(mount.tree)
            self.check_memory(server, "read by one")
            readers = [
                subprocess.Popen(["grep", "-rqs", "nothing like this", mount.tree])
                for _ in range(6)
            ]
            for reader in readers:
                reader.wait()
            self.check_memory(server, "read by six")
            shown = mount.stats()["server"]["rss_bytes"]
            self.assertLess(abs(shown / 1024 - memory_kb(server)[0]), 4000)

    def test_reading_200_megabytes(self):
        """Half noise, half compressible, read by four at once from different ends."""
        chance = random.Random(1)
        text = b"".join(
            b"%d: some line of text, as logs have it\n" % chance.randrange(10**6)
            for _ in range(200_000)
        )
        files = {f"noise-{i}": chance.randbytes(25_000_000) for i in range(4)}
        files |= {f"text-{i}": (text[i * 1000 :] * 4)[:25_000_000] for i in range(4)}
        bundle = data_bundle("memory", files)
        code = (
            "import hashlib, os, sys\n"
            "names = sorted(n for n in os.listdir() if '-' in n)\n"
            "start = int(sys.argv[1])\n"
            "for name in names[start:] + names[:start]:\n"
            "    with open(name, 'rb') as f: print(name, hashlib.sha256(f.read()).hexdigest())\n"
        )
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            server = mount.server()
            readers = [
                support.start(
                    [support.PYTHON, "-c", code, str(start)],
                    cwd=mount.tree,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for start in (0, 2, 4, 6)
            ]
            outputs = [sorted(reader.communicate()[0].splitlines()) for reader in readers]
            self.check_memory(server, "read by four")
            with open(f"/proc/{server}/status") as file:
                threads = [line for line in file if line.startswith("Threads:")]
            self.assertLessEqual(int(threads[0].split()[1]), 16)
        wanted = sorted(
            f"{name} {fs_manifest.hashlib.sha256(content).hexdigest()}"
            for name, content in files.items()
        )
        for output in outputs:
            self.assertEqual(output, wanted)


class TestKilledServer(support.TestCase):
    """A mount has no supervisor: its files are ENOTCONN from then on, until `haft umount` or the
    next `haft mount` clears it away."""

    def setUp(self):
        self.point = mount_point(self, "killed")
        if "userns" in self.id():
            support.user_in("userns").own(self.point)

    def command(self, mode, *words):
        return support.run([support.HAFT, *words], mode=mode)

    def assertFine(self, done):
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def mount(self, mode):
        self.assertFine(self.command(mode, "mount", support.lab(), self.point))

    def as_owner(self, mode, code):
        return support.run([support.PYTHON, "-c", code, self.point], mode=mode)

    def mount_and_kill(self, mode):
        self.mount(mode)
        (server,) = support.servers() - self.before
        os.kill(server, signal.SIGKILL)
        self.assertTrue(support.wait_until(lambda: support.state(server) in (None, "Z"), 2, 0.001))

    def run(self, result=None):
        self.before = support.servers()
        return super().run(result)

    def test_error_at_once_and_mounted_again(self, mode):
        code = (
            "import os, sys\nfor name in ('', '/site-packages', '/site-packages/lab.py'):\n"
            "  try: os.listdir(sys.argv[1] + name)\n  except OSError as error: print(error.errno)"
        )
        with self.clean(quiet_host=False):
            self.mount_and_kill(mode)
            self.assertEqual(self.as_owner(mode, code).stdout, f"{errno.ENOTCONN}\n" * 3)
            self.mount(mode)
            self.assertEqual(
                self.as_owner(
                    mode,
                    "import sys; print(open(sys.argv[1] + "
                    "'/site-packages/lab_data/text.txt').read())",
                ).stdout,
                "text of the lab\n\n",
            )
            self.assertFine(self.command(mode, "umount", self.point))
        self.assertEqual(os.listdir(self.point), [])

    def test_umount(self, mode):
        with self.clean(quiet_host=False):
            self.mount_and_kill(mode)
            self.assertFine(self.command(mode, "umount", self.point))
        self.assertEqual(os.listdir(self.point), [])
        again = self.command(mode, "umount", self.point)
        self.assertEqual(again.returncode, 1)
        self.assertOneLine(again.stderr, "no bundle is mounted there")

    def test_somebody_is_still_in_it(self, mode):
        """Told by umount; --lazy does it all the same, and so does the next mount."""
        for clear in (["umount", "--lazy", self.point], ["mount", support.lab(), self.point]):
            with self.subTest(clear[0]), self.clean(quiet_host=False):
                self.mount(mode)
                (server,) = support.servers() - self.before
                user = support.start(
                    [
                        support.PYTHON,
                        "-c",
                        "import os, sys; os.chdir(sys.argv[1]); print(flush=True); "
                        "sys.stdin.read()",
                        self.point,
                    ],
                    mode=mode,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
                user.stdout.readline()
                os.kill(server, signal.SIGKILL)
                support.wait_until(lambda: support.state(server) in (None, "Z"), 2, 0.001)
                busy = self.command(mode, "umount", self.point)
                self.assertEqual(busy.returncode, 1)
                self.assertOneLine(
                    busy.stderr, "unmount", "end the programs that use it, or use --lazy"
                )
                self.assertFine(self.command(mode, *clear))
                user.communicate()
                if clear[0] == "mount":
                    self.assertFine(self.command(mode, "umount", self.point))
            self.assertEqual(os.listdir(self.point), [])


class TestStoppedServer(support.TestCase):
    def test_stop_and_continue(self):
        """Readers wait while the server is stopped and get the right bytes after it; a killed one
        is gone at once."""
        content = random.Random(3).randbytes(8 << 20)
        bundle = data_bundle("stopped", {"big": content})
        digest = fs_manifest.hashlib.sha256(content).hexdigest()
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            server = mount.server()
            os.stat(
                mount.tree + b"/big"
            )  # who waits for somebody else's look-up cannot be killed, on any file system
            os.kill(server, signal.SIGSTOP)
            try:
                readers = [
                    support.start(
                        ["sha256sum", mount.tree + b"/big"], stdout=subprocess.PIPE, text=True
                    )
                    for _ in range(8)
                ]
                time.sleep(1)
                self.assertEqual([reader.poll() for reader in readers], [None] * 8)
                victim = readers.pop()
                victim.kill()
                victim.communicate(timeout=5)
                self.assertEqual(victim.returncode, -signal.SIGKILL)
            finally:
                os.kill(server, signal.SIGCONT)
            for reader in readers:
                self.assertEqual(reader.communicate(timeout=20)[0].split()[0], digest)

    def test_killed_under_a_mapping(self):
        """Server killed: what is cached stays readable, the rest is ENOTCONN or SIGBUS for the
        reader, never a hang."""
        bundle = data_bundle("mapped", {"big": random.Random(4).randbytes(8 << 20)})
        code = (
            "import mmap, os, signal, sys\n"
            "f = open(sys.argv[1], 'rb')\n"
            "m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n"
            "first = m[0]\n"
            "os.kill(int(sys.argv[2]), signal.SIGKILL)\n"
            "import time; time.sleep(0.3)\n"
            "assert m[0] == first\n"
            "try: f.seek(7 << 20); f.read(1 << 20)\n"
            "except OSError as e: print(e.errno, flush=True)\n"
            "m[7 << 20]\n"
        )
        with self.clean(quiet_host=False):
            point = mount_point(self, "mapped-mnt")
            support.haft("mount", bundle, point)
            server = json.loads((point / ".haft/stats").read_text())["server"]["pid"]
            done = support.run(
                [support.PYTHON, "-c", code, point / "site-packages/big", str(server)], timeout=20
            )
            self.assertEqual(done.stdout, f"{errno.ENOTCONN}\n")
            self.assertEqual(done.returncode, -signal.SIGBUS)
            support.haft("umount", point)
