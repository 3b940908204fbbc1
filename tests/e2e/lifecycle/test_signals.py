"""Signals reach the program, once, and nothing stands in between."""

import os
import shlex
import signal
import subprocess

import support

SECONDS = 20

CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})

# Writes one line per call of a handler, until SIGTERM has come. No line is ever written by two
# signals at once.
COUNT = """
def note(number, frame):
    os.write(1, b"%d\\n" % number)
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, note)
os.write(1, b"ready\\n")
sys.stdin.read()
"""

SLEEP = "print('ready', flush=True); time.sleep(30)"


class TestSignals(support.TestCase):
    def started(self, code, mode, *, program=None, **options):
        process = support.start(
            [program or support.lab(), code],
            mode=mode,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.addCleanup(process.__exit__, None, None, None)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def test_every_catchable_signal_reaches_the_handler_once(self, mode):
        with self.clean():
            process = self.started(COUNT, mode)
            for number in CATCHABLE:
                process.send_signal(number)
                self.assertEqual(process.stdout.readline(), f"{int(number)}\n")
            rest, errors = process.communicate(timeout=10)
        self.assertEqual((rest, errors, process.returncode), ("", "", 0))

    @support.parametrised(name=["SIGTERM", "SIGHUP", "SIGUSR1", "SIGQUIT", "SIGALRM", "SIGKILL"])
    def test_default_action_ends_the_program(self, name, mode):
        number = getattr(signal, name)
        with self.clean():
            process = self.started(SLEEP, mode, preexec_fn=support.no_core)
            process.send_signal(number)
            self.assertEqual(process.wait(5), -number)
            self.assertEqual(process.stderr.read(), "")

    def test_interrupt_is_one_KeyboardInterrupt(self, mode):
        """… and the mount outlives the handler's own lazy imports."""
        code = (
            "try:\n  print('ready', flush=True); time.sleep(30)\n"
            "except KeyboardInterrupt:\n"
            "  import lab_lazy.m9; print(lab_lazy.m9.VALUE); time.sleep(0.2)"
        )
        with self.clean():
            process = self.started(code, mode)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        self.assertEqual((out, err, process.returncode), ("9\n", "", 0))

    @support.parametrised(name=["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
    def test_whole_group_signalled(self, name, mode):
        """kill -TERM to the process group, as timeout(1) and shells do: the handler still reads
        from the mount, for a second."""
        code = (
            "def end(*_):\n  for i in range(100):\n    __import__(f'lab_lazy.m{i}')\n"
            "    time.sleep(0.01)\n"
            "  os.write(1, b'%d\\n' % len([m for m in sys.modules if "
            "m.startswith('lab_lazy.')])); os._exit(5)\n"
            f"signal.signal(signal.{name}, end)\n" + SLEEP
        )
        with self.clean():
            process = self.started(code, mode, start_new_session=True)
            os.killpg(process.pid, getattr(signal, name))
            out, err = process.communicate(timeout=10)
        self.assertEqual((out, err, process.returncode), ("100\n", "", 5))

    @support.parametrised(name=["SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT", "SIGPIPE"])
    def test_server_shrugs_off(self, name, mode):
        """A signal that a supervisor sends to every process of a unit must not take the files
        away."""
        code = (
            "print('ready', flush=True); sys.stdin.read(); import lab_lazy.m77; "
            "print(lab_lazy.m77.VALUE)"
        )
        before = support.servers()
        with self.clean():
            process = self.started(code, mode)
            servers = support.servers() - before
            self.assertEqual(len(servers), 1)
            os.kill(servers.pop(), getattr(signal, name))
            out, err = process.communicate(timeout=10)
        self.assertEqual((out, err, process.returncode), ("77\n", "", 0))

    def test_stop_and_continue(self, mode):
        with self.clean():
            process = self.started("print('ready', flush=True); print(sys.stdin.readline())", mode)
            process.send_signal(signal.SIGSTOP)
            self.assertTrue(support.wait_until(lambda: support.state(process.pid) == "T"))
            process.send_signal(signal.SIGCONT)
            self.assertEqual(process.communicate("on\n", timeout=10)[0], "on\n\n")
            self.assertEqual(process.returncode, 0)


class TestPipes(support.TestCase):
    def test_head_ends_the_program(self, mode):
        """./app | head -1: no hang, no spin."""
        code = "while True: print('line')"
        command = shlex.join(support.running.in_mode([support.lab(), code], mode))
        with self.clean():
            done = support.run(
                ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[*]}}"], timeout=10
            )
        self.assertEqual(done.stdout, "line\n1 0\n")
        self.assertIn("BrokenPipeError", done.stderr)

    def test_default_SIGPIPE_kills(self, mode):
        code = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nwhile True: print('line')"
        command = shlex.join(support.running.in_mode([support.lab(), code], mode))
        with self.clean():
            done = support.run(
                ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[*]}}"], timeout=10
            )
        self.assertEqual((done.stdout, done.stderr), ("line\n141 0\n", ""))

    def test_stdin_and_stdout_byte_exact(self, mode):
        data = os.urandom(1 << 20)
        with self.clean():
            done = support.run(
                [support.lab(), "sys.stdout.buffer.write(sys.stdin.buffer.read())"],
                mode=mode,
                input=data,
                text=False,
            )
        self.assertEqual((done.stdout == data, done.stderr, done.returncode), (True, b"", 0))

    def test_shell_pipeline_of_two_bundles(self, mode):
        one = shlex.join(support.running.in_mode([support.lab(), "print('a b')"], mode))
        two = shlex.join(
            support.running.in_mode([support.lab(), "print(sys.stdin.read().upper())"], mode)
        )
        with self.clean():
            self.assertEqual(
                support.run(["sh", "-c", f"{one} | {two}"], check=True).stdout, "A B\n\n"
            )
