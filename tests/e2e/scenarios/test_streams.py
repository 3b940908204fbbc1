"""Scenarios 16 and 17: standard streams of every kind, and programs that leave their terminal.
More: test_inherit.TestDescriptors, test_signals.TestPipes, test_terminal,
test_lifetime.TestDaemon."""

import hashlib
import os
import shlex
import socket
import subprocess
import unittest

import support

SECONDS = 20

# What the program finds at 0, 1 and 2, told through a file: the streams may be closed or full.
LOOK = """
import json, stat
found = {}
for fd in range(12):
    try: mode = os.fstat(fd).st_mode
    except OSError: continue
    found[fd] = [stat.S_IFMT(mode), os.isatty(fd)]
json.dump([found, [s is None for s in (sys.stdin, sys.stdout, sys.stderr)]], open(PROOF, "w"))
"""

BOTH = support.Both(
    "streams", {**support.PROBE, "late.py": "VALUE = 5\n", "late.txt": "data"}, "-e", "probe:main"
)


class TestStreams(support.TestCase):
    """Scenario 16."""

    seconds = 200

    def look(self, both_or_command, mode, **streams):
        proof = support.unique_dir("proof", 0o777) / "proof"
        code = LOOK.replace("PROOF", repr(str(proof)))
        with support.start([both_or_command, code], mode=mode, **streams) as process:
            self.assertEqual(process.wait(30), 0)
        return proof.read_text()

    @support.parametrised(kind=["null", "pipe", "socket", "file", "full", "pty", "zero"])
    def test_same_as_a_plain_program(self, kind, mode):
        made = []
        if kind == "pipe":
            made = list(os.pipe())
            ends = made[0], made[1]
        elif kind == "socket":
            pair = socket.socketpair()
            self.addCleanup(lambda: [s.close() for s in pair])
            ends = pair[0], pair[1]
        elif kind == "pty":
            made = list(os.openpty())
            ends = made[1], made[1]
        else:
            path = {"null": "/dev/null", "full": "/dev/full", "zero": "/dev/zero"}.get(kind)
            path = path or support.write_tree(support.unique_dir("file"), {"f": "x"}) / "f"
            made = [os.open(path, os.O_RDWR)]
            ends = made[0], made[0]
        self.addCleanup(lambda: [os.close(fd) for fd in made])
        streams = {"stdin": ends[0], "stdout": ends[1], "stderr": ends[1]}
        with self.clean():
            ours = self.look(BOTH.bundle, mode, **streams)
        self.assertEqual(ours, self.look(BOTH.plain, mode, **streams))

    def test_full_device(self, mode):
        """Output that cannot be written is the program's own failure, with Python's own status
        120."""
        for program in (BOTH.bundle, BOTH.plain):
            with open("/dev/full", "w") as full, self.clean():
                done = support.run([program, "print('x')"], mode=mode, stdout=full)
            self.assertEqual(done.returncode, 120, done.stderr)
            self.assertIn("No space left on device", done.stderr)

    def test_error_message_on_a_full_or_closed_stream(self, mode):
        """A bundle that cannot start ends with 125 even if it cannot say so; no descriptor gets its
        message."""
        env = support.clean_env(HAFT_MODE="nonsense")
        with open("/dev/full", "w") as full, self.clean():
            done = support.run([BOTH.bundle, ""], mode=mode, stderr=full, env=env)
            self.assertEqual((done.returncode, done.stdout), (125, ""))
        command = [BOTH.bundle, ""]
        if mode == "userns":
            command = support.as_user(command)
        victim = support.unique_dir("victim", 0o777) / "file"
        script = f"exec {shlex.join(map(str, command))} 2>&- 3<>{victim}"
        with self.clean():
            done = support.run(["sh", "-c", script], env=env)
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertEqual(victim.read_bytes(), b"")

    def through(self, size, mode):
        """Bytes through a program that copies: exact."""
        code = "import hashlib, shutil\nshutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
        block = hashlib.sha256(b"block").digest() * 32768  # 1 MiB
        digest = hashlib.sha256()
        with self.clean(), support.start(
            [BOTH.bundle, code], mode=mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            writer = os.fork()
            if writer == 0:
                process.stdout.close()
                for number in range(size >> 20):
                    process.stdin.write(number.to_bytes(8, "little") + block[8:])
                process.stdin.close()
                os._exit(0)
            process.stdin.close()
            total = 0
            while piece := process.stdout.read(1 << 20):
                digest.update(piece)
                total += len(piece)
            os.waitpid(writer, 0)
        wanted = hashlib.sha256()
        for number in range(size >> 20):
            wanted.update(number.to_bytes(8, "little") + block[8:])
        self.assertEqual((process.returncode, total, digest.digest()), (0, size, wanted.digest()))

    def test_64_megabytes_through_a_pipe(self):
        self.through(64 << 20, support.MODES[-1])

    @support.long_test
    def test_gigabyte_through_a_pipe(self, mode):
        self.through(1 << 30, mode)


DAEMON = """
import time
proof, seconds = sys.argv[1], float(sys.argv[2])
print("started", flush=True)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.chdir("/")
os.closerange(0, 1000)
time.sleep(seconds)
import late
data = open(os.path.dirname(late.__file__) + "/late.txt").read()
with open(proof, "w") as file: file.write(f"{late.VALUE} {data}")
"""


class TestDaemons(support.TestCase):
    """Scenario 17."""

    seconds = 120

    def wrote(self, proof, seconds):
        self.assertTrue(
            support.wait_until(lambda: proof.exists() and proof.read_text(), seconds),
            "nothing written",
        )
        self.assertEqual(proof.read_text(), "5 data")

    @support.parametrised(
        how=["{}", "nohup {}", "setsid {}", "nohup {} &", "sh -c '{} &'", "timeout 30 {}"]
    )
    def test_daemon_started_in_many_ways(self, how, mode):
        proof = support.unique_dir("daemon", 0o777) / "proof"
        arguments = support.running.in_mode([BOTH.bundle, "$CODE", proof, "0.4"], mode)
        command = " ".join(
            '"$CODE"' if part == "$CODE" else shlex.quote(part) for part in arguments
        )
        if "sh -c" in how:
            command = command.replace("'", "'\\''")
        with self.clean():
            done = support.run(
                ["sh", "-c", how.format(command)], env=support.clean_env(CODE=DAEMON), timeout=10
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("started\n", done.stdout)
            self.wrote(proof, 10)

    def test_child_of_a_program_that_nohup_protects(self, mode):
        """SIGHUP to the whole session, as when its terminal goes: the protected program and its
        mount stay."""
        proof = support.unique_dir("nohup", 0o777) / "proof"
        code = DAEMON.replace("if os.fork(): os._exit(0)\n", "").replace("os.setsid()\n", "")
        command = support.running.in_mode(["nohup", BOTH.bundle, code, proof, "0.6"], mode)
        with self.clean(), support.start(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            process.stdout.readline()
            os.killpg(process.pid, 1)
            self.wrote(proof, 10)
            self.assertEqual(process.wait(10), 0)

    @support.long_test
    def test_daemon_reads_after_a_minute(self):
        """In both modes at the same time."""
        proofs = {mode: support.unique_dir("minute", 0o777) / "proof" for mode in support.MODES}
        with self.clean():
            for mode, proof in proofs.items():
                support.run([BOTH.bundle, DAEMON, proof, "60"], mode=mode, check=True, timeout=10)
            for proof in proofs.values():
                self.wrote(proof, 80)

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_mount_table_that_is_shared(self, mode):
        """As on a systemd host: while the daemon lives, no process outside sees its mount."""
        proof = support.unique_dir("shared", 0o777) / "proof"
        with self.clean():
            support.run([BOTH.bundle, DAEMON, proof, "0.5"], mode=mode, check=True, timeout=10)
            self.assertFalse(
                [
                    line
                    for line in support.mount_table()
                    if " - fuse haft " in line or " /haft" in line
                ]
            )
            self.wrote(proof, 10)
