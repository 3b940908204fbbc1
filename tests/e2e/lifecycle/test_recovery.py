"""A server that dies is replaced and the program notices nothing (Linux 6.9); else an error at
once, never a hang."""

import errno
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import support

SECONDS = 30
SECONDS_OF_KILLS = 60 if support.LONG else 8

# Reads all files again and again, from the server every time; prints how often, ends with 3 at the
# first error or wrong byte.
READERS = """
import hashlib
base = os.path.dirname(sys.modules["lab"].__file__)
files = [f"{base}/lab_lazy/m{i}.py" for i in range(200)] + [base + "/lab_data/big.bin"]
def sums():
    result = hashlib.sha256()
    for name in files:
        with open(name, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            result.update(file.read())
        try: os.stat(f"{base}/missing{os.getpid()}{time.monotonic()}")
        except FileNotFoundError: pass
    return result.hexdigest()
wanted = sums()
print("ready", flush=True)
children = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        rounds, end = 0, time.monotonic() + float(sys.argv[2])
        try:
            while time.monotonic() < end:
                assert sums() == wanted, "wrong bytes"
                rounds += 1
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(3)
        print(rounds, flush=True)
        os._exit(0)
    children.append(pid)
result = max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
print(open(base + "/../.haft/stats").read(), flush=True)
"""


def kernel_resends():
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups())) >= (6, 9)


@unittest.skipIf(os.geteuid(), "needs root")
class RecoveryCase(support.TestCase):
    seconds = SECONDS_OF_KILLS + 60

    def start(self, code, mode, *arguments, **variables):
        known = support.servers()
        process = support.start(
            [support.lab(), code, *arguments],
            mode=mode,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=support.clean_env(HAFT_MODE=mode, **variables),
        )
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process, known

    def server(self, known):
        return next(iter(support.wait_until(lambda: support.servers() - known, 2, 0.0005)), None)

    def kill(self, known, how):
        server = self.server(known)
        self.assertIsNotNone(server, "no server")
        os.kill(server, how)
        support.wait_until(lambda: support.state(server) in (None, "Z"), 2, 0.001)


@unittest.skipUnless(kernel_resends(), "Linux before 6.9 cannot send requests again")
class TestReplaced(RecoveryCase):
    def test_killed_every_100_ms_under_8_readers(self, mode):
        kills = 0
        with self.clean():
            process, known = self.start(READERS, mode, str(SECONDS_OF_KILLS))
            end = time.monotonic() + SECONDS_OF_KILLS - 0.5
            while time.monotonic() < end and process.poll() is None:
                self.kill(known, signal.SIGKILL)
                kills += 1
                time.sleep(0.1)
            out, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, errors), (0, ""))
        self.assertGreater(kills, SECONDS_OF_KILLS)
        rounds, _, stats = out.partition("{")
        self.assertEqual(len(rounds.split()), 8)
        self.assertIn(f'"deaths": {kills}', stats)
        self.assertIn("killed by signal 9", stats)

    def test_crashes_are_survived_and_told(self, mode):
        """Five crashes of its own; HAFT_LOG=debug shows them, .haft/stats counts them, and fresh
        numbers are read."""
        code = (
            "stats = os.environ['PYTHONPATH'].split('/.haft')[0] + '/.haft/stats'\n"
            "import json; print('ready', flush=True)\n"
            "for line in sys.stdin: print(json.load(open(stats))['server']['deaths'], flush=True)"
        )
        with self.clean():
            process, known = self.start(code, mode, HAFT_LOG="debug")
            for count, how in enumerate(
                (signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV), 1
            ):
                self.kill(known, how)
                process.stdin.write("\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), f"{count}\n")
            _, errors = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(errors.count("; replaced"), 5, errors)

    def test_crashing_again_and_again_ends_in_ENOTCONN(self, mode):
        code = (
            "print('ready', flush=True); sys.stdin.readline()\n"
            "try: import lab_lazy.m77; result = 0\nexcept OSError as error: result = error.errno"
        )
        with self.clean():
            process, known = self.start(code, mode)
            for _ in range(6):
                self.kill(known, signal.SIGSEGV)
            self.assertIsNone(self.server(known))
            process.communicate("\n", timeout=5)
            # Root's mount goes at the latest when another start removes the directory it is on.
            gone = (errno.ENOTCONN, errno.ENOENT) if mode == "namespace" else (errno.ENOTCONN,)
            self.assertIn(process.returncode, gone)

    def test_supervisor_killed_then_the_server_goes_on(self, mode):
        code = (
            "print('ready', flush=True); sys.stdin.readline()\n"
            "import lab_lazy.m78; print(lab_lazy.m78.VALUE)"
        )
        with self.clean():
            process, known = self.start(code, mode)
            server = self.server(known)
            supervisor = int(
                re.search(r"PPid:\t(\d+)", pathlib.Path(f"/proc/{server}/status").read_text())[1]
            )
            os.kill(supervisor, signal.SIGKILL)
            self.assertEqual(process.communicate("\n", timeout=5)[0], "78\n")


class TestLost(RecoveryCase):
    """Supervisor and server are killed: errors at once, which the program can handle, and it ends
    as it likes."""

    USE = (
        "import lab, mmap\nbase = os.path.dirname(lab.__file__)\n"
        "file = open(base + '/lab_data/big.bin', 'rb')\n"
        "os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)\n"
        "pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); first = pages[0]\n"
        "print('ready', flush=True)\n"
        "try:\n  while True:\n    for i in range(200):\n"
        "      with open(f'{base}/lab_lazy/m{i}.py') as source:\n"
        "        os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED); source.read()\n"
        "except OSError as error: print(error.errno, flush=True)\n"
        "try: os.stat(base + '/none')\nexcept OSError as error: print(error.errno, flush=True)\n"
        "assert pages[0] == first\n"
    )

    def lose(self, code, mode):
        before = support.haft_processes()
        with self.clean():
            process, _known = self.start(self.USE + code, mode)
            time.sleep(0.1)
            helpers = {
                support.clean.process_name(pid): pid for pid in support.haft_processes() - before
            }
            for name in ("haft-supervisor", "haft-server"):
                os.kill(helpers[name], signal.SIGKILL)
            out, errors = process.communicate(timeout=2)
        # ECONNABORTED is what a request gets that was under way.
        self.assertRegex(out, r"^(107|103)\n107\n$")
        self.assertEqual(errors, "")
        return process.returncode

    def test_ENOTCONN_is_an_error_like_others(self, mode):
        self.assertEqual(self.lose("os._exit(9)", mode), 9)

    def test_page_that_was_never_read_is_SIGBUS(self, mode):
        code = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); pages[900_000]"
        self.assertEqual(self.lose(code, mode), -signal.SIGBUS)


class TestStopped(RecoveryCase):
    def test_stopped_for_five_seconds_with_8_readers(self, mode):
        """They wait; one that is killed is gone at once; the others read the right bytes
        afterwards."""
        with self.clean():
            process, known = self.start(READERS, mode, "3")
            server = self.server(known)
            time.sleep(0.2)
            os.kill(server, signal.SIGSTOP)
            children = [
                int(pid)
                for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
                .read_text()
                .split()
            ]
            self.assertEqual(len(children), 8)
            time.sleep(5 if support.LONG else 1.5)
            # Those whose requests the server had already read wait for the answers (one per thread
            # of it); others die at once.
            killed = children[:5]
            for child in killed:
                os.kill(child, signal.SIGKILL)
            gone = support.wait_until(
                lambda: any(support.state(child) in (None, "Z") for child in killed), 1
            )
            self.assertTrue(gone, [support.state(child) for child in killed])
            os.kill(server, signal.SIGCONT)
            out, errors = process.communicate(timeout=30)
        self.assertEqual((process.returncode, errors), (0, ""))  # the largest of -9 and 0
        self.assertEqual(len(out.partition("{")[0].split()), 3)
