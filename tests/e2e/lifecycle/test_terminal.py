"""On a terminal: Ctrl-C, Ctrl-Z and fg, size changes, the terminal going away."""

import fcntl
import shlex
import signal
import struct
import termios
import time

import support
from support.terminal import Terminal

SECONDS = 15


def program(code, mode):
    return support.running.in_mode([support.lab(), code], mode)


class TestProgramOnTerminal(support.TestCase):
    def test_owns_the_terminal(self, mode):
        code = (
            "print(os.isatty(0), os.isatty(1), os.ttyname(0) == os.ttyname(2), "
            "os.tcgetpgrp(0) == os.getpgrp(),"
            " os.getsid(0) == os.getpid(), open('/dev/tty').isatty(), 'end')"
        )
        with self.clean(), Terminal(program(code, mode)) as terminal:
            self.assertEqual(terminal.expect("end").split(), ["True"] * 6)
            self.assertEqual(terminal.wait(), 0)

    def test_control_c_is_one_KeyboardInterrupt(self, mode):
        code = (
            "count = 0\n"
            "for _ in range(2):\n"
            "  try: print('ready', flush=True); time.sleep(0.6)\n"
            "  except KeyboardInterrupt:\n"
            "    count += 1; import lab_lazy.m3\n"
            "print('count', count, lab_lazy.m3.VALUE, 'end')"
        )
        with self.clean(), Terminal(program(code, mode)) as terminal:
            terminal.expect("ready")
            terminal.write("\x03")
            terminal.expect("count 1 3 end")
            self.assertEqual(terminal.wait(), 0)

    def test_control_c_without_handler_kills_by_SIGINT(self, mode):
        with self.clean(), Terminal(
            program("print('ready', flush=True); time.sleep(30)", mode)
        ) as terminal:
            terminal.expect("ready")
            terminal.write("\x03")
            terminal.expect("KeyboardInterrupt")
            self.assertEqual(terminal.wait(), -signal.SIGINT)

    def test_size_change(self, mode):
        code = (
            "got = []\nsignal.signal(signal.SIGWINCH, lambda *_: got.append(1))\n"
            "print('ready', flush=True)\n"
            "while not got: time.sleep(0.01)\nprint(os.get_terminal_size().columns, 'wide')"
        )
        with self.clean(), Terminal(program(code, mode)) as terminal:
            terminal.expect("ready")
            fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 77, 0, 0))
            terminal.expect("77 wide")
            self.assertEqual(terminal.wait(), 0)

    def test_terminal_closes(self, mode):
        with self.clean(), Terminal(
            program("print('ready', flush=True); time.sleep(30)", mode)
        ) as terminal:
            terminal.expect("ready")
            terminal.close()
            self.assertEqual(terminal.process.wait(5), -signal.SIGHUP)

    def test_survives_the_terminal_when_it_ignores_hangup(self, mode):
        """The server must not die with the terminal either."""
        proof = support.unique_dir(mode=0o777) / "proof"
        code = (
            f"signal.signal(signal.SIGHUP, signal.SIG_IGN)\nprint('ready', flush=True)\n"
            f"time.sleep(0.5)\n"
            f"import lab_lazy.m44\nopen({str(proof)!r}, 'w').write(str(lab_lazy.m44.VALUE))"
        )
        with self.clean(), Terminal(program(code, mode)) as terminal:
            terminal.expect("ready")
            terminal.close()
            self.assertEqual(terminal.process.wait(10), 0)
            self.assertEqual(proof.read_text(), "44")


class TestJobControl(support.TestCase):
    """In an interactive bash, as a person would."""

    def shell(self):
        terminal = Terminal(["bash", "--norc", "--noprofile", "-i"])
        terminal.write(
            "stty -echo; PS1='$ '; bind 'set enable-bracketed-paste off' 2>/dev/null; echo "
            "read''y\n"
        )
        terminal.expect("ready")
        return terminal

    def test_control_z_and_fg(self, mode):
        code = (
            "print('started', flush=True)\nfor line in sys.stdin:\n  import lab_lazy.m8\n"
            "  print('line', line.strip(), lab_lazy.m8.VALUE, flush=True)"
        )
        with self.clean(), self.shell() as terminal:
            terminal.write(shlex.join(program(code, mode)) + "\n")
            terminal.expect("started")
            terminal.write("one\n")
            terminal.expect("line one 8")
            terminal.write("\x1a")
            terminal.expect("Stopped")
            terminal.write("jobs -p | wc -l; echo status $?\n")
            terminal.expect("1")
            terminal.write("fg\n")
            time.sleep(0.2)
            terminal.write("two\n")
            terminal.expect("line two 8")
            terminal.write("\x04")
            terminal.write("echo status=$?\n")
            terminal.expect("status=0")
            terminal.write("exit\n")
            terminal.wait()

    def test_control_c_in_a_shell(self, mode):
        with self.clean(), self.shell() as terminal:
            terminal.write(
                shlex.join(program("print('started', flush=True); time.sleep(30)", mode)) + "\n"
            )
            terminal.expect("started")
            terminal.write("\x03")
            terminal.expect("KeyboardInterrupt")
            terminal.write("echo status=$?\n")
            terminal.expect("status=130")
            terminal.write("exit\n")
            terminal.wait()

    def test_background_job_and_wait(self, mode):
        with self.clean(), self.shell() as terminal:
            terminal.write(
                shlex.join(program("time.sleep(0.2); result = 7", mode))
                + " & wait $!; echo status=$?\n"
            )
            terminal.expect("status=7")
            terminal.write("exit\n")
            terminal.wait()
