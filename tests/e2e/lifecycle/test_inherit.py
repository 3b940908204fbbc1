"""What the program inherits is what the launched process was given, compared with a Python started
directly."""

import json
import os
import resource
import signal
import subprocess

import support

SECONDS = 15
# In mode userns, which comes first, the groups of an ordinary user show as 65534: scenarios,
# test_users.py. Who has none inherits the rest.
WITHOUT_GROUPS = ("namespace", "number") if os.geteuid() == 0 else support.MODES

# Prints all that a process inherits, as JSON. `keep` is filled by the tests that compare.
SHOW = r"""
import json, resource
def status(*names):
    lines = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines()
        if ":\t" in line)
    return {name: lines.get(name) for name in names}
umask = os.umask(0); os.umask(umask)
fds = {}
for fd in os.listdir("/proc/self/fd"):
    try: fds[fd] = os.readlink("/proc/self/fd/" + fd)
    except OSError: pass
try: cwd = os.getcwd()
except OSError as error: cwd = str(error)
shown = {
    "fds": fds, "umask": umask, "cwd": cwd, "env": dict(os.environ), "argv": sys.argv,
    "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()],
    "group": os.getpgrp() == os.getpid(), "session": os.getsid(0) == os.getpid(),
    "nice": os.nice(0),
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource)
        if n.startswith("RLIMIT")},
    "affinity": sorted(os.sched_getaffinity(0)), "scheduler": os.sched_getscheduler(0),
    "oom": open("/proc/self/oom_score_adj").read(), "cgroup": open("/proc/self/cgroup").read(),
    **status("SigBlk", "SigIgn", "SigCgt", "SigPnd", "CapInh", "CapPrm", "CapEff", "CapAmb",
        "NoNewPrivs", "Threads",
             "THP_enabled", "Seccomp"),
    "comm": open("/proc/self/comm").read(),
}
json.dump(shown, open(3, "w") if os.environ.get("TO_FD3") else sys.stdout)
"""


def plain_lab():
    """The same program from a plain directory. -B: the tree is shared, it gets no byte code."""
    return [support.PYTHON, "-B", support.lab_tree() / "lab.py"]


class TestInherit(support.TestCase):
    def both(self, mode, *arguments, code=SHOW, env=None, quiet_host=True, **options):
        """(what the bundle's program inherits, what a plain Python inherits)."""
        env = support.clean_env() if env is None else env
        with self.clean(timeout=2.0 if quiet_host else 4.0, quiet_host=quiet_host):
            done = support.run(
                [support.lab(), code, *arguments], mode=mode, env=env, check=True, **options
            )
        self.assertEqual(done.stderr, "")
        plain = support.run(
            [*plain_lab(), code, *arguments], mode=mode, env=env, check=True, **options
        )
        return json.loads(done.stdout), json.loads(plain.stdout)

    @support.parametrised(mode=WITHOUT_GROUPS)
    def test_everything_at_once(self, mode):
        self.assertSame(*self.both(mode))

    @support.parametrised(haft_mode=["fusermount", "extract"])
    def test_everything_at_once_of_a_user_with_groups(self, haft_mode):
        env = support.clean_env(HAFT_MODE=haft_mode)
        self.assertSame(*self.both("userns", env=env, quiet_host=False))

    def assertSame(self, program, plain):
        for part in (
            "argv",
            "env",
            "fds",
        ):  # have tests of their own below; pipes differ in their numbers
            del program[part], plain[part]
        # The kernel calls a script by its file; the plain Python is none.
        self.assertEqual((program.pop("comm"), plain.pop("comm")[:6]), ("lab\n", "python"))
        self.assertEqual(program, plain)

    @support.parametrised(mode=WITHOUT_GROUPS)
    def test_changed_from_the_defaults(self, mode):
        def change():
            os.umask(0o137)
            signal.pthread_sigmask(
                signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD}
            )
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN)
            os.nice(3)
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 4096))
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("77")

        program, plain = self.both(mode, preexec_fn=change, cwd="/usr/share")
        self.assertSame(program, plain)
        self.assertEqual(
            (program["umask"], program["cwd"], program["nice"]), (0o137, "/usr/share", 3)
        )

    def test_no_new_privileges(self, mode):
        """As under systemd with NoNewPrivileges=yes."""
        command = support.running.in_mode(
            [support.lab(), "print(open('/proc/self/status').read())"], mode
        )
        with self.clean():
            done = support.run(["setpriv", "--no-new-privs", "--", *command], check=True)
        self.assertIn("NoNewPrivs:\t1", done.stdout)

    def test_unreadable_working_directory(self):
        self.check_working_directory("unreadable", "userns")

    @support.parametrised(where=["deleted", "below_dev", "root"])
    def test_odd_working_directories(self, where, mode):
        self.check_working_directory(where, mode)

    def check_working_directory(self, where, mode):
        directory = support.unique_dir(mode=0o777)

        def enter():
            os.chdir({"below_dev": "/dev", "root": "/"}.get(where, directory))
            if where == "deleted":
                os.rmdir(directory)
            if where == "unreadable":
                os.chmod(directory, 0)

        code = (
            "try: print(os.getcwd())\nexcept OSError as e: print(e.errno)\n"
            "try: print(os.listdir('.'))\nexcept OSError as e: print(e.errno)"
        )
        with self.clean():
            done = support.run([support.lab(), code], mode=mode, preexec_fn=enter)
        # The process stays in a directory it may not enter again, and its name is known.
        expected = {"deleted": "2\n[]\n", "unreadable": f"{directory}\n13\n"}
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        if where in expected:
            self.assertEqual(done.stdout, expected[where])
        else:
            self.assertEqual(done.stdout.splitlines()[0], {"below_dev": "/dev", "root": "/"}[where])

    def test_environment(self, mode):
        """Only PYTHONPATH and HAFT_BUNDLE are set; nothing named LD_* appears."""
        for env in (
            support.clean_env(),
            support.clean_env(ODD="a=b\nc", EMPTY="", LONG="x" * 100_000),
            {"A": "b"},
        ):
            program, plain = self.both(mode, env=env)
            path = program["env"].pop("PYTHONPATH")
            plain["env"].pop("PYTHONPATH", None)
            self.assertEqual(program["env"].pop("HAFT_BUNDLE"), str(support.lab()))
            self.assertEqual(program["env"], plain["env"])
            self.assertTrue(path.startswith("/run/haft/lab/"), path)

    def test_users_PYTHONPATH_is_kept_behind(self, mode):
        program, _ = self.both(mode, env=support.clean_env(PYTHONPATH="/nonexistent/mine:/other"))
        self.assertEqual(
            program["env"]["PYTHONPATH"],
            "/run/haft/lab/.haft/py:/run/haft/lab/site-packages:/nonexistent/mine:/other",
        )


class TestDescriptors(support.TestCase):
    def listing(self, command, mode, setup, pass_fds=()):
        """{fd: target} of a program that writes the list to a file, started after setup()."""
        proof = support.unique_dir(mode=0o777) / "fds"
        code = (
            "found = {}\n"
            "for fd in range(64):\n"
            "  try: found[fd] = os.readlink(f'/proc/self/fd/{fd}')\n"
            "  except OSError: pass\n"
            f"__import__('json').dump(found, open({str(proof)!r}, 'w'))"
        )
        with support.start(
            [*command, code],
            mode=mode,
            preexec_fn=setup,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            self.assertEqual(process.wait(30), 0)
        return json.loads(proof.read_text())

    def compare(self, mode, setup=None, pass_fds=()):
        with self.clean():
            program = self.listing([support.lab()], mode, setup, pass_fds)
        plain = self.listing(plain_lab(), mode, setup, pass_fds)
        self.assertEqual(program, plain)
        return program

    def test_exactly_the_inherited_ones(self, mode):
        with open("/etc/passwd") as one, open("/dev/zero") as two:
            fds = (os.dup2(one.fileno(), 17), os.dup2(two.fileno(), 40))
            try:
                found = self.compare(mode, pass_fds=fds)
            finally:
                for fd in fds:
                    os.close(fd)
        self.assertEqual((found["17"], found["40"]), ("/etc/passwd", "/dev/zero"))
        self.assertEqual(set(found), {"0", "1", "2", "17", "40"})

    @support.parametrised(closed=["0", "1", "2", "01", "02", "12", "012"])
    def test_standard_streams_closed(self, closed, mode):
        """They stay closed, and no descriptor of ours takes their place."""

        def close():
            for fd in closed:
                os.close(int(fd))

        self.compare(mode, close)

    @support.parametrised(closed=["0", "12", "012"])
    def test_device_is_no_standard_stream_of_the_helpers(self, closed, mode):
        """What writes to standard error would write to the kernel."""

        def close():
            for fd in closed:
                os.close(int(fd))

        before = support.haft_processes()

        def both():
            """Server and supervisor. For a moment there are three: what prefetches is a fork of the
            supervisor before it has a name of its own."""
            found = {
                pid: support.clean.process_name(pid) for pid in support.haft_processes() - before
            }
            names = ["haft-server", "haft-supervisor"]
            helpers = [pid for pid, name in found.items() if name in names]
            return helpers if sorted(found[pid] for pid in helpers) == names else []

        with self.clean(), support.start(
            [support.lab(), "time.sleep(0.5)"], mode=mode, preexec_fn=close
        ) as process:
            helpers = support.wait_until(both, 5)
            self.assertEqual(len(helpers), 2)
            for helper in helpers:
                links = {
                    fd: os.readlink(f"/proc/{helper}/fd/{fd}")
                    for fd in os.listdir(f"/proc/{helper}/fd")
                }
                self.assertEqual([links.pop(fd) for fd in "012"], ["/dev/null"] * 3)
                self.assertIn("/dev/fuse", links.values())
            self.assertEqual(process.wait(5), 0)

    def test_few_descriptors_allowed(self, mode):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

        self.compare(mode, limit)

    def test_many_descriptors_inherited(self, mode):
        def fill():
            fd = os.open("/dev/null", os.O_RDONLY)
            for target in range(10, 1000):
                os.dup2(fd, target)

        self.compare(mode, fill)

    def test_server_holds_none_of_them(self, mode):
        """A pipe the program got reaches its end when the program ends, though the server may live
        longer."""
        reader, writer = os.pipe()
        code = "sys.stdin.close(); print('ready', flush=True); time.sleep(0.3)"
        before = support.servers()
        with self.clean():
            with support.start(
                [support.lab(), code],
                mode=mode,
                pass_fds=[writer],
                stdout=subprocess.PIPE,
                stdin=subprocess.PIPE,
            ) as process:
                os.close(writer)
                process.stdout.readline()
                servers = support.servers() - before
                self.assertEqual(len(servers), 1)
                server = servers.pop()
                held = [
                    os.readlink(f"/proc/{server}/fd/{fd}")
                    for fd in os.listdir(f"/proc/{server}/fd")
                ]
                given = (reader, process.stdin.fileno(), process.stdout.fileno())
                self.assertFalse(
                    {os.readlink(f"/proc/self/fd/{fd}") for fd in given} & set(held), held
                )
                self.assertEqual(os.readlink(f"/proc/{server}/cwd"), "/")
                self.assertNotEqual(os.getsid(server), os.getsid(process.pid))
            self.assertEqual(os.read(reader, 1), b"")
            os.close(reader)


class TestArguments(support.TestCase):
    CODE = "print(ascii(sys.argv[:1] + sys.argv[2:]))"

    def argv(self, command, mode, *arguments, **options):
        with self.clean():
            done = support.run([*command, self.CODE, *arguments], mode=mode, check=True, **options)
        return eval(done.stdout)

    def test_arguments_that_look_like_ours(self, mode):
        arguments = [
            "--help",
            "-c",
            "-m",
            "--mount",
            "--version",
            "--",
            "",
            "-",
            "--haft",
            "a b",
            "*",
            "ä",
            "-V",
        ]
        self.assertEqual(self.argv([support.lab()], mode, *arguments)[1:], arguments)

    @support.parametrised(argument=["--help", "-c", "--version", "-h", "--mount", "info"])
    def test_first_argument_too(self, argument, mode):
        bundle = support.code_app("show", "import sys; print(sys.argv[1:])")
        with self.clean():
            done = support.run([bundle, argument], mode=mode, check=True)
        self.assertEqual(done.stdout, f"[{argument!r}]\n")

    def test_program_name_as_the_kernel_names_a_script(self, mode):
        """Relative, absolute, from PATH, through a symbolic link, a renamed copy."""
        bundle = support.lab()
        directory = support.unique_dir("names")
        link = directory / "link"
        link.symlink_to(bundle)
        hard = directory / "na me-ü"
        os.link(bundle, hard)
        path = support.clean_env(PATH=f"{bundle.parent}:/usr/bin:/bin")
        self.assertEqual(self.argv([bundle], mode), [str(bundle)])
        self.assertEqual(
            self.argv([f"./{bundle.name}"], mode, cwd=bundle.parent), [f"./{bundle.name}"]
        )
        self.assertEqual(
            self.argv(["../" + bundle.parent.name + "/lab"], mode, cwd=bundle.parent),
            [f"../{bundle.parent.name}/lab"],
        )
        self.assertEqual(self.argv([link], mode), [str(link)])
        self.assertEqual(self.argv([hard], mode), [str(hard)])
        self.assertEqual(self.argv(["lab"], mode, env=path), [str(bundle)])

    def test_program_name_chosen_by_the_caller(self, mode):
        """exec -a NAME: a script gets its path all the same, and so does what runs in a bundle."""
        script = 'exec -a "$0" "$@"'
        command = ["bash", "-c", script, "other", support.lab(), self.CODE]
        with self.clean():
            done = support.run(command, mode=mode, check=True)
        self.assertEqual(eval(done.stdout), [str(support.lab())])

    def test_argument_bytes(self, mode):
        with self.clean():
            done = support.run([support.lab(), self.CODE, b"\xff\x80raw"], mode=mode, check=True)
        self.assertEqual(eval(done.stdout)[1], "\udcff\udc80raw")

    def test_many_arguments(self, mode):
        arguments = ["x" * 1000] * 1000
        self.assertEqual(self.argv([support.lab()], mode, *arguments)[1:], arguments)
