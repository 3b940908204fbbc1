"""kill -9 of the program, the server, the keeper or all of them, at eight moments from the start to the steady state:
nothing stays behind, and a program that lives goes on, or gets an error at once."""

import concurrent.futures
import os
import signal
import subprocess
import time
import unittest

import support

SECONDS = 60

# Uses the mount without pause: imports, reads, stats. Ends with status 3 at the first error, with 0 when its
# input ends.
BUSY = '''
import threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
base = os.path.dirname(sys.modules["lab"].__file__)
while True:
    for i in range(200):
        try:
            __import__(f"lab_lazy.m{i}")
            with open(base + "/lab_data/big.bin", "rb") as file:
                file.seek(i * 4096 % 1000000)
                file.read(100)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            os.stat(f"{base}/missing{time.monotonic()}")
        except FileNotFoundError:
            pass
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(3)
'''

ALL_MOMENTS = (0, 1, 2, 5, 10, 20, 60, 200)  # milliseconds after the start
MOMENTS = ALL_MOMENTS if support.LONG else (1, 5, 20, 200)
VICTIMS = ("program", "server", "keeper", "helpers", "all")
AT_ONCE = 4


class Start:
    """One running bundle, started through a name of its own, by which its processes are known."""

    def __init__(self, path, rung):
        self.path = str(path)
        mode = "namespace" if rung == "namespace" else "userns"
        self.process = support.start([path, BUSY], mode=mode, env=support.clean_env(HAFT_MODE=rung),
                                     stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def helpers(self, *names):
        """Pids of its processes of these names (all without), except the program."""
        found = set()
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != self.process.pid:
                try:
                    if os.readlink(f"/proc/{name}/exe") == self.path and (
                            not names or support.clean._comm(name) in names):
                        found.add(int(name))
                except OSError:
                    pass
        return found

    def kill(self, *names):
        """Kills those that are there or come within two seconds; false if none did."""
        pids = support.wait_until(lambda: self.helpers(*names), 2, 0.0005)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return bool(pids)

    def end(self, how):
        """Status and standard error; "eof": lets it end by itself, "kill", "wait": it must end by itself."""
        if how == "kill":
            self.process.kill()
        try:
            if how == "eof":
                self.process.stdin.close()
            self.process.wait(10)
            errors = self.process.stderr.read()
            self.process.stderr.close()
            self.process.stdin.close()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("the program hangs") from None
        return self.process.returncode, errors


@unittest.skipIf(os.geteuid(), "needs root")
class KillCase(support.TestCase):
    seconds = 240

    def one(self, victim, milliseconds, path, rung):
        start = Start(path, rung)
        time.sleep(milliseconds / 1000)
        if victim == "program":
            start.process.kill()
        elif victim == "all":
            start.process.kill()
            for pid in start.helpers():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        elif victim == "helpers":
            start.kill("haft-keeper")
            start.kill("haft-server")
        else:
            self.assertTrue(start.kill(f"haft-{victim}"), f"no {victim}")
            time.sleep(0.05)
        if victim in ("program", "all"):
            return start.end("kill")
        if victim in ("server", "keeper") and start.process.poll() is None:
            return start.end("eof")
        return start.end("wait")

    def check(self, victim, milliseconds, result):
        status, errors = result
        if victim in ("program", "all"):
            self.assertEqual(status, -signal.SIGKILL, errors)
        elif victim == "helpers":
            # A start that was still under way says so itself.
            self.assertIn(status, (3, 125, 1), errors)
            self.assertTrue(errors)
        elif victim == "server":
            self.assertEqual((status, errors), (0, ""))
        else:
            # Before the server is forked nobody answers: the start fails or the program gets an error. Afterwards nothing happens
            # (see test_recovery for a program that is known to run).
            self.assertIn(status, (0, 1, 3, 125), errors)
            self.assertEqual(bool(status), bool(errors))

    def links(self):
        """AT_ONCE names of the lab's bundle."""
        directory = support.unique_dir(mode=0o755)
        paths = [directory / f"lab{i}" for i in range(AT_ONCE)]
        for path in paths:
            os.link(support.lab(), path)
        return paths

    def cell(self, victim, milliseconds, rung, runs, **clean):
        paths = self.links()
        for _ in range(0, runs, AT_ONCE):
            with self.clean(timeout=4.0, **clean), concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                results = list(pool.map(lambda path: self.one(victim, milliseconds, path, rung), paths))
            for result in results:
                with self.subTest(victim=victim, milliseconds=milliseconds, rung=rung):
                    self.check(victim, milliseconds, result)


class TestPrivate(KillCase):
    @support.parametrised(victim=VICTIMS, rung=["namespace", "userns"])
    def test_at_all_moments(self, victim, rung):
        for milliseconds in MOMENTS:
            self.cell(victim, milliseconds, rung, AT_ONCE)

    @support.long_test
    @support.parametrised(victim=[v for v in VICTIMS if v != "helpers"], rung=["namespace", "userns"])
    def test_twenty_runs_a_cell(self, victim, rung):
        for milliseconds in MOMENTS:
            self.cell(victim, milliseconds, rung, 20)

    def test_error_is_ENOTCONN_without_keeper_and_server(self, mode):
        status, errors = self.one("helpers", 500, self.links()[0], mode)
        self.assertEqual(status, 3)
        self.assertRegex(errors, r"\((107|103), '")  # ECONNABORTED is what a request gets that was under way

    def test_next_start_is_unaffected(self, mode):
        self.one("helpers", 300, self.links()[0], mode)
        with self.clean():
            self.assertEqual(support.run([support.lab(), "result = 3"], mode=mode).returncode, 3)


class TestFusermount(KillCase):
    """The same on the rung that uses a mount of the host. If all are killed, the next start cleans up."""

    @support.parametrised(victim=[v for v in VICTIMS if v != "all"])
    def test_at_some_moments(self, victim):
        for milliseconds in MOMENTS:
            self.cell(victim, milliseconds, "fusermount", 20 if support.LONG else AT_ONCE, quiet_host=False)

    def test_all_killed_is_swept_by_the_next_start(self):
        before = support.haft_mounts()
        paths = self.links()
        for milliseconds in MOMENTS:
            for _ in range(5 if support.LONG else 1):
                with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                    list(pool.map(lambda path: self.one("all", milliseconds, path, "fusermount"), paths))
                support.wait_until(lambda: not support.haft_processes(), 2)
                for pid in support.haft_processes():  # forked between the listing and the kill
                    os.kill(pid, signal.SIGKILL)
                with self.subTest(milliseconds=milliseconds):
                    done = support.run([support.lab(), "result = 3"], mode="userns",
                                       env=support.clean_env(HAFT_MODE="fusermount"))
                    self.assertEqual((done.returncode, done.stderr), (3, ""))
                    gone = support.wait_until(lambda: support.haft_mounts() == before, 4)
                    self.assertTrue(gone, support.haft_mounts() - before)
                    self.assertTrue(support.wait_until(lambda: not os.path.exists(f"/tmp/haft-{support.NOBODY}"), 2))
