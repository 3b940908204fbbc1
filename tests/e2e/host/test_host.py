"""What a program sees of its host is what it saw before the start: terminals, processes, programs
with the set-user-id bit."""

import contextlib
import os
import pathlib
import shutil
import signal
import unittest

import support
from support import running
from support.host import plain

SECONDS = 8


class TestTerminals(support.TestCase):
    CODE = (
        "import pty, subprocess, stat\n"
        "print(os.ttyname(0), os.isatty(1), os.ctermid(), os.tcgetpgrp(0) == os.getpgrp())\n"
        "with open('/dev/tty', 'w') as tty: print('to the terminal', file=tty)\n"
        "master, slave = os.openpty(); name = os.ttyname(slave); made = os.stat(name)\n"
        "print(name.startswith('/dev/pts/'), made.st_rdev == os.fstat(slave).st_rdev, "
        "made.st_uid == os.getuid())\n"
        "child = subprocess.run(['sh', '-c', 'tty; stty size </dev/tty'], stdin=slave, "
        "stdout=slave, start_new_session=True,\n"
        "  preexec_fn=lambda: __import__('fcntl').ioctl(0, __import__('termios').TIOCSCTTY, 0))\n"
        "os.close(slave); text = b''\n"
        "try:\n"
        "  while part := os.read(master, 99): text += part\n"
        "except OSError: pass\n"
        "print(text.decode().split() == [name, '0', '0'], child.returncode)\n"
        "pid, master = pty.fork()\n"
        "if pid == 0: os.execlp('tty', 'tty')\n"
        "print(os.read(master, 99).decode().strip().startswith('/dev/pts/'), os.waitpid(pid, 0)[1])"
    )

    def shown(self, command, mode):
        master, slave = os.openpty()
        name = os.ttyname(slave)
        support.user_in(mode).own(name)
        with support.start(
            ["setsid", "--ctty", "--wait", *map(str, running.in_mode([*command, self.CODE], mode))],
            stdin=slave,
            stdout=slave,
            stderr=slave,
        ) as process:
            os.close(slave)
            text = b""
            with contextlib.suppress(OSError):
                while part := os.read(master, 4096):
                    text += part
            self.assertEqual(process.wait(20), 0, text)
        os.close(master)
        return text.decode().replace(name, "TERMINAL").splitlines()

    def test_old_and_new_ones(self, mode):
        with self.clean():
            lines = self.shown([support.lab()], mode)
        self.assertEqual(
            lines,
            [
                "TERMINAL True /dev/tty True",
                "to the terminal",
                "True True True",
                "True 0",
                "True 0",
            ],
        )
        self.assertEqual(lines, self.shown(plain(), mode))


class TestProcesses(support.TestCase):
    def test_proc_is_the_hosts(self, mode):
        """The same processes, the same details of its own and of those of its user, and signals
        reach them."""
        with self.clean(), support.start(["sleep", "60"], mode=mode) as other:
            code = (
                f"import signal; other = {other.pid}\n"
                "print(open(f'/proc/{other}/comm').read(), os.readlink('/proc/self') == "
                "str(os.getpid()), os.path.exists('/proc/1/stat'))\n"
                "print(os.readlink('/proc/self/exe'), os.readlink('/proc/self/fd/0'), "
                "open('/proc/self/cmdline').read().split(chr(0))[-2], flush=True)\n"
                "print('MemTotal' in open('/proc/meminfo').read(), "
                "os.listdir('/proc/self/task') == [str(os.getpid())])\n"
                "os.kill(other, signal.SIGTERM)"
            )
            support.wait_until(
                lambda: pathlib.Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n"
            )
            done = support.run([support.lab(), code, "last argument"], mode=mode, check=True)
            self.assertEqual(other.wait(10), -signal.SIGTERM)
        python = os.path.realpath(support.PYTHON)
        self.assertEqual(
            done.stdout, f"sleep\n True True\n{python} /dev/null last argument\nTrue True\n"
        )


@unittest.skipIf(os.geteuid(), "needs root")
class TestPrivileges(support.TestCase):
    """Programs that change the user, started by the bundle's program."""

    def set_uid_program(self):
        """Prints its effective user id; belongs to root and has the set-user-id bit."""
        path = support.unique_dir("suid", 0o755) / "id"
        shutil.copy("/usr/bin/id", path)
        path.chmod(0o4755)
        return str(path)

    def test_sudo_su_and_set_user_id_as_root(self):
        """To another user, with a terminal's worth of PAM and files, and back."""
        person = support.PERSON
        suid = self.set_uid_program()
        code = (
            "import subprocess, lab_lazy.m5\n"
            "def show(*words): print(subprocess.run(words, capture_output=True, text=True))\n"
            f"show('sudo', '-n', '-u', {person.name!r}, 'id', '-u')\n"
            f"show('sudo', '-n', '-u', '#4242', {suid!r}, '-u')\n"
            f"show('su', '-s', '/bin/sh', {person.name!r}, '-c', 'id -u; pwd')\n"
            f"show(*{[*person.drop(), suid]}, '-u')\n"
            "show('sudo', '-n', sys.executable, '-c', 'import os; print(os.getuid(), "
            'os.access("/etc/shadow", os.R_OK))\')'
        )
        ends = []
        for command in (plain(), [support.lab()]):
            with self.clean():
                done = support.run(
                    [*command, code],
                    cwd="/usr/share",
                    env=support.clean_env(PYTHONPATH=str(support.lab_tree())),
                    check=True,
                )
            ends.append(done.stdout)
        self.assertEqual(ends[0], ends[1])
        for text in (
            f"'{person.uid}\\n'",
            "'0\\n'",
            f"'{person.uid}\\n/usr/share\\n'",
            "'0 True\\n'",
        ):
            self.assertIn(text, ends[1])

    def test_set_user_id_programs_of_a_user(self):
        """As docs/haft.1 says: without power under userns, with it under fusermount and extract."""
        code = (
            f"import subprocess, lab_lazy.m5; subprocess.run([{self.set_uid_program()!r}, "
            f"'-u']); print(lab_lazy.m5.VALUE)"
        )
        for haft_mode, uid in (("userns", support.PERSON.uid), ("fusermount", 0), ("extract", 0)):
            with self.subTest(haft_mode=haft_mode), self.clean(
                timeout=4.0, quiet_host=haft_mode != "fusermount"
            ):
                done = support.run(
                    [support.lab(), code], mode="userns", env=support.clean_env(HAFT_MODE=haft_mode)
                )
                self.assertEqual(
                    (done.stdout, done.stderr, done.returncode), (f"{uid}\n5\n", "", 0)
                )
