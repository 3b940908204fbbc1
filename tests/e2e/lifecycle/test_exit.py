"""The end of a program is the program's own: pid, status, signal, output."""

import ast
import concurrent.futures
import os
import signal
import subprocess
import unittest

import support

SECONDS = 15

# name: (code, status, end of standard error)
ENDINGS = {
    "None": ("result = None", 0, ""),
    "zero": ("result = 0", 0, ""),
    "three": ("result = 3", 3, ""),
    "true": ("result = True", 1, ""),
    "text": ("result = 'some text'", 1, "some text\n"),
    "exception": ("raise ValueError('boom')", 1, "ValueError: boom\n"),
    "exit_257": ("raise SystemExit(257)", 1, ""),
    "exit_text": ("sys.exit('message')", 1, "message\n"),
    "_exit": ("os._exit(9)", 9, ""),
    "abort": ("os.abort()", -signal.SIGABRT, ""),
    "kill": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
    "segv": ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, ""),
    "interrupt": ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt\n"),
    "late": (
        "import atexit; atexit.register(lambda: __import__('lab_lazy.m1') and print('late'))",
        0,
        "",
    ),
}


class TestExit(support.TestCase):
    @support.parametrised(ending=list(ENDINGS))
    def test_status_and_message(self, ending, mode):
        code, status, message = ENDINGS[ending]
        with self.clean():
            done = support.run([support.lab(), code], mode=mode, preexec_fn=support.no_core)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertTrue(done.stderr.endswith(message), done.stderr)
        self.assertEqual(done.stdout, "late\n" if ending == "late" else "")
        if status != 1:
            self.assertNotIn("haft:", done.stderr)
        env = support.plain_environment(support.lab_tree(), support.clean_env())
        plain = support.run(
            [support.PYTHON, "-B", "-m", "lab", code], env=env, preexec_fn=support.no_core
        )
        self.assertEqual(done.returncode, plain.returncode)
        if ending == "exception":
            self.assertIn('File "/run/haft/lab/site-packages/lab.py"', done.stderr)
            self.assertTrue(done.stderr.startswith("Traceback (most recent call last):\n"))
        elif status >= 0:
            self.assertEqual(done.stderr, plain.stderr)

    def test_files_that_are_gone_when_python_begins_are_one_line(self):
        """Supervisor and server killed at that moment: Python does not find the program."""
        words = support.run(
            [support.lab(), "print(open('/proc/self/cmdline').read().split('\\0')[:-1])"],
            check=True,
        ).stdout
        done = support.run(ast.literal_eval(words))  # its own command, where nothing is mounted
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"^.*can't open file '/run/haft/lab/bin/lab': .*\n$")

    @support.parametrised(entry=["-e lab:main", "-m lab", "-c lab-other"])
    def test_every_kind_of_entry_passes_the_status_on(self, entry, mode):
        bundle = support.lab(*entry.split())
        with self.clean():
            for code, status in (("", 0), ("result = 3", 3), ("sys.exit(4)", 4)):
                self.assertEqual(support.run([bundle, code], mode=mode).returncode, status)

    def test_same_pid(self, mode):
        with self.clean(), support.start(
            [support.lab(), "print(os.getpid(), os.getppid())"],
            mode=mode,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            self.assertEqual(process.stdout.read(), f"{process.pid} {os.getpid()}\n")

    def test_server_is_no_child_of_the_program(self, mode):
        """os.wait() in the program must see only its own children."""
        code = (
            "try: os.wait()\n"
            "except ChildProcessError: print('none')\n"
            "me = os.getpid()\n"
            "print([p for p in os.listdir('/proc') if p.isdigit()"
            " and open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[1] == str(me)])"
        )
        with self.clean():
            self.assertEqual(
                support.run([support.lab(), code], mode=mode, check=True).stdout, "none\n[]\n"
            )

    def test_name_in_ps(self, mode):
        """/proc/PID/cmdline holds the path that was typed and the arguments."""
        with self.clean():
            code = "print(open('/proc/self/cmdline').read().split(chr(0)))"
            done = support.run([support.lab(), code, "x y"], mode=mode)
        command = eval(done.stdout)
        self.assertEqual(command[-2:], ["x y", ""])
        self.assertTrue(any(word.endswith(f":{support.lab()}") for word in command), command)


@unittest.skipIf(os.geteuid(), "needs root")
class TestEveryMode(support.TestCase):
    """Five statuses and five signals; --long: 200 runs a mode."""

    seconds = 120
    ENDS = [
        0,
        1,
        7,
        127,
        255,
        *(
            -number
            for number in (
                signal.SIGTERM,
                signal.SIGINT,
                signal.SIGKILL,
                signal.SIGSEGV,
                signal.SIGABRT,
            )
        ),
    ]

    @support.parametrised(haft_mode=["namespace", "userns", "fusermount", "extract"])
    def test_same_status(self, haft_mode):
        def one(end):
            code = (
                f"sys.exit({end})"
                if end >= 0
                else f"signal.signal({-end}, 0) if {-end} != 9 else None; os.kill(os.getpid(), "
                f"{-end})"
            )
            done = support.run(
                [support.lab(), code],
                mode="namespace" if haft_mode == "namespace" else "userns",
                env=support.clean_env(HAFT_MODE=haft_mode),
                preexec_fn=support.no_core,
            )
            return done.returncode, done.stderr

        ends = self.ENDS * (20 if support.LONG else 1)
        with self.clean(
            quiet_host=haft_mode != "fusermount"
        ), concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertEqual(list(pool.map(one, ends)), [(end, "") for end in ends])
