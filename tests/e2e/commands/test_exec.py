"""haft exec, haft shell: any command in a bundle's environment, and joining one that runs."""

import os
import signal
import subprocess

import support
from support import archives
from support.terminal import Terminal

SECONDS = 25

FILES = {
    "tool.py": "import sys\ndef main():\n    print('tool', sys.argv[1:], __file__)\n    return 4\n",
    "bin/in-bin": ('#!/bin/sh\necho "in-bin $0 $*"\nexit 6\n', 0o755),
    "bin/python-script": ("#!/usr/bin/python3\nimport tool\nprint(tool.__file__)\n", 0o755),
    "bin/no-interpreter-line": ("echo plain $1\n", 0o755),
    "bin/not-executable": "#!/bin/sh\n",
    "bin/ls": ("#!/bin/sh\necho own ls\n", 0o755),
    "tool-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
    "tool-1.dist-info/entry_points.txt": "[console_scripts]\ntool-script = tool:main\n",
}


class ExecCase(support.TestCase):
    made = {}

    def file(self, kind):
        """A bundle or an archive, both of them mounted at /run/haft/box."""
        if kind not in self.made:
            directory = support.unique_dir()
            if kind == "archive":
                self.made[kind] = archives.shiv(directory / "box", FILES, entry_point="tool:main")
            else:
                site = support.write_tree(
                    support.unique_dir("site"),
                    {
                        name: content[0] if isinstance(content, tuple) else content
                        for name, content in FILES.items()
                    },
                )
                for name, content in FILES.items():
                    (site / name).chmod(content[1] if isinstance(content, tuple) else 0o644)
                self.made[kind] = support.build(site, "-c", "tool-script", output=directory / "box")
        return self.made[kind]

    def exec(self, kind, *words, mode=None, options=(), **variables):
        with self.clean():
            return support.run(
                [support.HAFT, "exec", *options, self.file(kind), *words],
                mode=mode,
                env=support.clean_env(**variables),
            )

    def says(self, out, kind, *words, mode=None, status=0, **variables):
        done = self.exec(kind, *words, mode=mode, **variables)
        self.assertEqual((done.stdout, done.stderr, done.returncode), (out, "", status))


KINDS = ["bundle", "archive"]


class TestExec(ExecCase):
    @support.parametrised(kind=KINDS)
    def test_environment(self, kind, mode):
        self.says(
            "/run/haft/box/site-packages/tool.py\n",
            kind,
            "--",
            "/usr/bin/python3",
            "-c",
            "import tool; print(tool.__file__)",
            mode=mode,
        )
        self.says("/run/haft/box/site-packages/tool.py\n", kind, "python-script", mode=mode)
        done = self.exec(
            kind,
            "/usr/bin/env",
            mode=mode,
            HAFT_SCRIPT="x",
            HAFT_ENTRY_POINT="y",
            HAFT_INTERPRETER="1",
            HAFT_PYTHON="z",
        )
        found = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.assertEqual(
            found.pop("PYTHONPATH"), "/run/haft/box/.haft/py:/run/haft/box/site-packages"
        )
        self.assertEqual(
            found.pop("PATH"), "/run/haft/box/site-packages/bin:" + support.clean_env()["PATH"]
        )
        self.assertEqual(found.pop("HAFT_BUNDLE"), str(self.file(kind)))
        expected = dict(support.running.env_in(mode, None))
        expected.pop("PATH")
        found.pop("_", None)
        self.assertEqual(found, expected)

    @support.parametrised(kind=KINDS)
    def test_what_a_command_may_be(self, kind):
        self.says(
            "in-bin /run/haft/box/site-packages/bin/in-bin a --help\n",
            kind,
            "in-bin",
            "a",
            "--help",
            status=6,
        )
        self.says(
            "tool ['-v'] /run/haft/box/site-packages/tool.py\n", kind, "tool-script", "-v", status=4
        )  # no file of bin/
        self.says("own ls\n", kind, "ls")
        self.says("plain x\n", kind, "no-interpreter-line", "x")  # as execvp does
        self.says("tool.py\n", kind, "sh", "-c", "cd /run/haft/box/site-packages && echo *.py")
        self.says("", kind, "sh", "-c", "exit 9", status=9)

    def test_status_is_the_commands(self, mode):
        self.says("", "bundle", "sh", "-c", "kill -TERM $$", status=-signal.SIGTERM, mode=mode)
        for words, status, why in (
            (["nonsense"], 127, "'nonsense': No such file"),
            (["/etc/passwd"], 126, "'/etc/passwd': Permission denied"),
            (["not-executable"], 126, "'not-executable': Permission denied"),
            (["/no/such"], 127, "'/no/such': No such"),
            ([""], 127, "'': No such file"),
        ):
            done = self.exec("bundle", *words, mode=mode)
            self.assertEqual((done.returncode, done.stdout), (status, ""))
            self.assertOneLine(done.stderr, f"'{self.file('bundle')}'", why)
        done = self.exec("bundle")
        self.assertEqual(done.returncode, 2)
        self.assertOneLine(done.stderr, "COMMAND is missing")

    def test_its_process_is_the_command(self, mode):
        code = "import os, sys; print(os.getpid(), os.getcwd())"
        with self.clean(), support.start(
            [support.HAFT, "exec", self.file("bundle"), "/usr/bin/python3", "-c", code],
            mode=mode,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            out = process.stdout.read()
        self.assertEqual(out, f"{process.pid} {os.getcwd()}\n")

    @support.parametrised(kind=KINDS)
    def test_mount_lives_as_long_as_a_daemon(self, kind, mode):
        """apachectl start, gunicorn --daemon: the command ends at once, its child goes on."""
        directory = support.unique_dir(mode=0o777)
        daemon = (
            "import os, sys, time\n"
            "if os.fork(): os._exit(0)\n"
            "os.setsid(); os.closerange(0, 3); os.chdir('/')\n"
            "while not os.path.exists(sys.argv[1] + '/go'): time.sleep(0.01)\n"
            "import tool\n"
            "open(sys.argv[1] + '/new', 'w').write(tool.__file__)\n"
            "os.rename(sys.argv[1] + '/new', sys.argv[1] + '/out')\n"
        )
        with self.clean():
            done = support.run(
                [
                    support.HAFT,
                    "exec",
                    self.file(kind),
                    "--",
                    support.PYTHON,
                    "-c",
                    daemon,
                    directory,
                ],
                mode=mode,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            (directory / "go").touch()
            support.wait_until((directory / "out").exists, 20)
        self.assertEqual((directory / "out").read_text(), "/run/haft/box/site-packages/tool.py")

    def test_same_path_for_every_user_and_start(self):
        """What setup-server writes now, apachectl reads later."""
        for mode in support.MODES:
            for _ in range(2):
                self.says(
                    "/run/haft/box/site-packages/tool.py\n", "bundle", "python-script", mode=mode
                )

    def test_usersite_and_isolation_as_the_program_has_them(self):
        pex = archives.pex(support.unique_dir() / "box", {"tool.py": ""}, info={})
        with self.clean():
            done = support.run(
                [
                    support.HAFT,
                    "exec",
                    pex,
                    support.PYTHON,
                    "-c",
                    "import sys; print('/usr/lib/python3/dist-packages' in sys.path)",
                ]
            )
        self.assertEqual(done.stdout, "False\n", done.stderr)


class TestAttach(ExecCase):
    def running(self, kind, mode):
        """A process in the bundle that ends with its standard input."""
        process = support.start(
            [
                support.HAFT,
                "exec",
                self.file(kind),
                "--",
                "/usr/bin/python3",
                "-c",
                "import sys, tool; print('ready', flush=True); sys.stdin.read()",
            ],
            mode=mode,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def attach(self, process, *words, mode=None, **options):
        return support.run(
            [support.HAFT, "exec", "--attach", str(process.pid), "--", *words], mode=mode, **options
        )

    @support.parametrised(kind=KINDS)
    def test_sees_what_the_process_sees(self, kind, mode):
        with self.clean(), self.running(kind, mode) as process:
            here = support.unique_dir(mode=0o777)
            done = self.attach(process, "python-script", mode=mode)
            self.assertEqual(
                (done.returncode, done.stdout, done.stderr),
                (0, "/run/haft/box/site-packages/tool.py\n", ""),
            )
            done = self.attach(
                process, "sh", "-c", "pwd; readlink /proc/self/ns/mnt; exit 5", mode=mode, cwd=here
            )
            self.assertEqual((done.returncode, done.stderr), (5, ""))
            self.assertEqual(
                done.stdout.split(), [str(here), os.readlink(f"/proc/{process.pid}/ns/mnt")]
            )
            done = self.attach(process, "nonsense", mode=mode)
            self.assertEqual(done.returncode, 127)
            process.stdin.close()

    def test_root_joins_a_users_bundle_as_that_user(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        with self.clean(), self.running("bundle", "userns") as process:
            done = self.attach(
                process, "sh", "-c", "id -u; id -G; cat /run/haft/box/site-packages/bin/ls"
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(
                done.stdout,
                f"{support.PERSON.uid}\n{support.PERSON.gid}\n#!/bin/sh\necho own ls\n",
            )
            process.stdin.close()

    def test_other_users_may_not(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        with self.clean(), self.running("bundle", "namespace") as process:
            done = self.attach(process, "id", mode="userns")
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertOneLine(done.stderr, f"process {process.pid}", "Permission denied")
            process.stdin.close()

    def test_its_children_keep_the_mount(self):
        with self.clean(), self.running("bundle", None) as process, subprocess.Popen(
            [
                support.HAFT,
                "exec",
                "--attach",
                str(process.pid),
                "sh",
                "-c",
                "echo ready; read x; cat /run/haft/box/site-packages/bin/ls",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=support.clean_env(),
        ) as other:
            self.assertEqual(other.stdout.readline(), "ready\n")
            process.stdin.close()
            process.wait()
            out, _ = other.communicate("go\n")
        self.assertEqual(out, "#!/bin/sh\necho own ls\n")

    @support.parametrised(pid=["self", "gone", "nonsense"])
    def test_no_bundle_is_one_line(self, pid):
        with subprocess.Popen(["/bin/true"]) as gone:
            pass
        word, status, why = {
            "self": (str(os.getpid()), 125, "not a process of a bundle"),
            "gone": (str(gone.pid), 125, "No such"),
            "nonsense": ("1x", 2, "not a process id"),
        }[pid]
        done = support.run([support.HAFT, "exec", "--attach", word, "true"])
        self.assertEqual((done.returncode, done.stdout), (status, ""))
        self.assertOneLine(done.stderr, why)


class TestShell(ExecCase):
    def test_prompt_tells_where_one_is(self, mode):
        home = support.unique_dir(mode=0o755)
        (home / ".bashrc").write_text("PS1='mine> '\nalias mine='echo my alias'\n")
        for shell, prompt in (("/bin/bash", "(box) mine> "), ("/bin/sh", "(box) $ ")):
            with self.clean():
                command = [
                    "env",
                    f"SHELL={shell}",
                    f"HOME={home}",
                    *(["HAFT_MODE=userns"] if mode == "userns" else []),
                    support.HAFT,
                    "shell",
                    self.file("bundle"),
                ]
                terminal = Terminal(support.as_user(command) if mode == "userns" else command)
                terminal.expect(prompt)
                if shell.endswith("bash"):
                    terminal.write("mine\n")
                    terminal.expect("my alias\r\n")
                terminal.write("python-script; ls -l /proc/self/fd | grep -c memfd\n")
                terminal.expect("/run/haft/box/site-packages/tool.py\r\n")
                terminal.expect("0\r\n")
                terminal.write("exit 7\n")
                self.assertEqual(terminal.wait(), 7)
                terminal.close()

    def test_commands_from_a_pipe(self, mode):
        with self.clean():
            done = support.run(
                [support.HAFT, "shell", self.file("archive")],
                mode=mode,
                input="in-bin x\npython-script\nexit 3\n",
                env=support.clean_env(SHELL="/bin/bash"),
            )
        self.assertEqual(
            (done.stdout, done.stderr, done.returncode),
            (
                "in-bin /run/haft/box/site-packages/bin/in-bin x\n"
                "/run/haft/box/site-packages/tool.py\n",
                "",
                3,
            ),
        )

    def test_attached(self):
        with self.clean(), TestAttach.running(self, "bundle", None) as process:
            done = support.run(
                [support.HAFT, "shell", "--attach", str(process.pid)], input="python-script\n"
            )
            self.assertEqual(done.stdout, "/run/haft/box/site-packages/tool.py\n", done.stderr)
            process.stdin.close()

    def test_usage(self):
        for words in ([], ["x", "--attach", "1"]):
            done = support.run([support.HAFT, "shell", *words])
            self.assertEqual(done.returncode, 2)
            self.assertOneLine(done.stderr, "--attach PID")
