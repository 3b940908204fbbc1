"""haft exec --attach PID as root: whose process it is decides, not what it says of itself."""

import os
import pathlib
import re
import subprocess
import unittest

import support

READY = "print('ready', flush=True); sys.stdin.read()"
# Where a command is: who, which groups, descriptors, terminal, and what it was given.
SHOW = (
    "id -u; id -G; ls /proc/self/fd | tr '\\n' ' '; echo; ps -o tty= -p $$;"
    " grep NoNewPrivs /proc/self/status; env; exit 7"
)


@unittest.skipIf(os.geteuid(), "needs root")
class TestAttach(support.TestCase):
    def start(self, command, who="person", **env):
        process = support.start(
            support.as_user(command) if who == "person" else command,
            env=support.clean_env(**env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def attach(self, process, *words, **options):
        return support.run(
            [support.HAFT, "exec", "--attach", str(process.pid), "--", *words], **options
        )

    def check_as_person(self, process):
        done = self.attach(
            process, "sh", "-c", SHOW, env=support.clean_env(SECRET_TOKEN="of-root", EDITOR="x")
        )
        self.assertEqual((done.returncode, done.stderr), (7, ""))
        uid, groups, descriptors, terminal, privileges, *environment = done.stdout.splitlines()
        self.assertEqual((uid, groups), (str(support.PERSON.uid), str(support.PERSON.gid)))
        self.assertEqual(descriptors.split(), ["0", "1", "2", "3"])  # the last is ls's own
        self.assertEqual((terminal.strip(), privileges), ("?", "NoNewPrivs:\t1"))
        names = {entry.partition("=")[0] for entry in environment}
        self.assertLessEqual(
            names,
            {"TERM", "LANG", "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PYTHONPATH", "PWD"}
            | {"_", "OLDPWD", "SHLVL"},
        )

    @support.parametrised(haft_mode=["userns", "fusermount"])
    def test_users_bundle(self, haft_mode):
        self.check_as_person(self.start([support.lab(), READY], HAFT_MODE=haft_mode))

    def test_worker_of_root_that_gave_up_its_rights(self):
        person = support.PERSON
        code = f"os.setgroups([]); os.setgid({person.gid}); os.setuid({person.uid}); {READY}"
        self.check_as_person(self.start([support.lab(), code], "root", HAFT_MODE="namespace"))

    def test_process_that_is_no_bundle_but_says_so(self):
        """Its environment leads to programs of its owner."""
        tree = support.unique_dir(mode=0o777)
        for directory in (".haft/py", "site-packages/bin"):
            (tree / directory).mkdir(parents=True)
        proof = tree / "proof"
        program = tree / "site-packages/bin/ls"
        program.write_text(f"#!/bin/sh\nid > {proof}\n")
        program.chmod(0o755)
        path = f"{tree}/.haft/py:{tree}/site-packages"
        process = self.start(["sh", "-c", "echo ready; read x"], PYTHONPATH=path)
        done = self.attach(process, "ls")
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertOneLine(done.stderr, f"process {process.pid}", "as that user")
        # Neither from a process of root that somebody else has given its environment.
        os.chown(tree, support.PERSON.uid, support.PERSON.gid)
        process = self.start(["sh", "-c", "echo ready; read x"], "root", PYTHONPATH=path)
        self.assertEqual(self.attach(process, "ls").returncode, 125)
        self.assertFalse(proof.exists())

    def test_process_with_the_rights_of_two_users(self):
        code = f"import os, sys; os.setresuid({support.PERSON.uid}, 0, 0); {READY}"
        process = self.start([support.PYTHON, "-c", code], "root")
        done = self.attach(process, "true")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "rights of several users")

    def test_input_output_and_signals_pass(self):
        process = self.start([support.lab(), READY], HAFT_MODE="userns")
        text = "x" * 1_000_000
        self.assertEqual(self.attach(process, "cat", input=text).stdout, text)
        done = self.attach(process, "sh", "-c", "echo wrong >&2; kill -9 $$")
        self.assertEqual((done.returncode, done.stderr), (-9, "wrong\n"))

    def test_terminal_of_its_own(self):
        """Neither TIOCSTI nor a read in the background reaches that of root."""
        process = self.start([support.lab(), READY], HAFT_MODE="userns")
        log = support.unique_dir() / "typescript"
        code = (
            "import fcntl, os, termios\n"
            "print('terminal', os.ttyname(0), flush=True)\n"
            "try:\n"
            "    for c in b'echo injected\\n': fcntl.ioctl(0, termios.TIOCSTI, bytes([c]))\n"
            "except OSError as error: print(error)\n"
        )
        script = (
            f"tty; {support.HAFT} exec --attach {process.pid} -- {support.PYTHON} -c '"
            + code.replace("'", "'\\''")
            + '\'; echo status $?; read -t 1 line; echo "got <$line>"'
        )
        run = log.with_name("run.sh")
        run.write_text(script)
        support.run(
            ["script", "-qec", f"bash {run}", log], input="", env=support.clean_env(), check=True
        )
        text = pathlib.Path(log).read_text()
        self.assertIn("status 0", text)
        self.assertIn("got <>", text)
        ours = re.search(r"/dev/pts/\d+", text)
        theirs = re.search(r"terminal (/dev/pts/\d+)", text)
        assert ours and theirs, text
        self.assertNotEqual(theirs[1], ours[0])
