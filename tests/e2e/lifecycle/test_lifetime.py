"""The mount lives exactly as long as somebody uses it, however that ends. Nothing stays behind."""

import errno
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import time
import unittest

import support

SECONDS = 20


class TestMount(support.TestCase):
    def test_options_and_place(self, mode):
        code = "print([l for l in open('/proc/self/mountinfo') if ' - fuse.haft ' in l])"
        with self.clean():
            lines = eval(support.run([support.lab(), code], mode=mode, check=True).stdout)
        self.assertEqual(len(lines), 1, lines)
        _, point, _, options = support.clean.mount_fields(lines[0])
        self.assertEqual(point, "/run/haft/lab")
        self.assertTrue({"ro", "nosuid", "nodev"} <= set(options.split(",")), options)

    def test_host_sees_nothing_while_it_runs(self, mode):
        """Neither in its mount table nor in its root directory."""
        before = os.listdir("/")
        code = "print('ready', flush=True); sys.stdin.read()"
        with self.clean(), support.start(
            [support.lab(), code], mode=mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            table = support.mount_table()
            process.stdout.readline()
            self.assertEqual(support.mount_table(), table)
            self.assertEqual(os.listdir("/"), before)
            self.assertFalse(os.path.exists("/haft"))
            process.stdin.close()

    def test_program_sees_the_hosts_root(self, mode):
        """All top-level names of the host with the same files behind them."""
        code = (
            "print({n: [(s := os.lstat('/' + n)).st_dev, s.st_ino, s.st_mode] for n in "
            "os.listdir('/')})\n"
            "print(open('/etc/passwd').read() == sys.argv[2])"
        )
        with open("/etc/passwd") as file:
            passwd = file.read()
        with self.clean():
            out = support.run(
                [support.lab(), code, passwd], mode=mode, check=True
            ).stdout.splitlines()
        seen, here = eval(out[0]), {}
        for name in os.listdir("/"):
            status = os.lstat("/" + name)
            here[name] = [status.st_dev, status.st_ino, status.st_mode]
        self.assertEqual(set(seen), set(here))
        for name, status in here.items():
            if mode == "userns" and name == "run":  # covered
                continue
            self.assertEqual(seen[name], status, name)
        self.assertEqual(out[1], "True")

    def test_two_programs_at_the_same_path(self, mode):
        """Two versions of one name at once, each sees its own."""
        versions = [
            support.code_app(
                "twin",
                f"import sys; print({n}, flush=True); sys.stdin.read(); import extra; "
                "print(extra.N)",
                {"extra.py": f"N = {n}"},
            )
            for n in (1, 2)
        ]
        with self.clean():
            running = [
                support.start(
                    [v], mode=mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
                for v in versions
            ]
            self.assertEqual([process.stdout.readline() for process in running], ["1\n", "2\n"])
            self.assertEqual(
                [process.communicate(timeout=10)[0] for process in running], ["1\n", "2\n"]
            )

    def test_many_starts_at_once(self, mode):
        with self.clean(timeout=5):
            running = [
                support.start(
                    [support.lab(), "import lab_lazy.m5; result = 7"],
                    mode=mode,
                    stderr=subprocess.PIPE,
                )
                for _ in range(20)
            ]
            ends = [(process.communicate(timeout=50)[1], process.returncode) for process in running]
        self.assertEqual(set(ends), {(b"", 7)})

    def test_bundle_is_replaced_while_it_runs(self, mode):
        """mv new app, then rm: the running program keeps its files."""
        directory = support.unique_dir()
        running = directory / "lab"
        support.run(["cp", support.lab(), running], check=True)
        code = (
            "print('ready', flush=True); sys.stdin.read(); import lab_lazy.m50; "
            "print(lab_lazy.m50.VALUE)"
        )
        with self.clean(), support.start(
            [running, code], mode=mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            process.stdout.readline()
            os.rename(support.write_tree(directory, {"new": "other"}) / "new", running)
            running.unlink()
            self.assertEqual(process.communicate(timeout=10)[0], "50\n")
            self.assertEqual(process.returncode, 0)


DAEMON = """
proof = sys.argv[2]
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
os.closerange(0, 1000)
for i in range(10):
    time.sleep(0.1)
    module = __import__(f"lab_lazy.m{i * 17}", fromlist=["VALUE"])
    with open("/run/haft/lab/site-packages/lab_data/big.bin", "rb") as file:
        file.seek(i * 100_000)
        data = file.read(1000)
    with open(proof, "a") as file:
        print(os.getpid(), module.VALUE, len(data), file=file)
"""


class TestDaemon(support.TestCase):
    def test_daemon_keeps_reading_until_it_ends(self, mode):
        proof = support.unique_dir(mode=0o777) / "proof"
        before = support.haft_mounts()
        with self.clean(timeout=3.0):
            done = support.run([support.lab(), DAEMON, proof], mode=mode, timeout=5)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(support.haft_mounts() - before, "mount gone with the parent")
            wrote = support.wait_until(
                lambda: proof.exists() and proof.read_text().count("\n") == 10, 10
            )
            self.assertTrue(
                wrote, proof.read_text() if proof.exists() else "the daemon wrote nothing"
            )
            daemon = int(proof.read_text().split()[0])
            self.assertTrue(support.wait_until(lambda: support.state(daemon) in (None, "Z"), 5))
            gone = support.wait_until(lambda: support.haft_mounts() == before, 2)
            self.assertTrue(gone, "mount stayed for more than two seconds")
        values = [line.split()[1:] for line in proof.read_text().splitlines()]
        self.assertEqual(values, [[str(i * 17), "1000"] for i in range(10)])

    def test_background_child_of_a_shell(self, mode):
        """A child that is no Python and uses no file of ours keeps the mount, too, and nothing
        longer."""
        code = "import subprocess; subprocess.Popen(['sleep', '0.5'], close_fds=True)"
        with self.clean(timeout=2.0):
            done = support.run(
                [support.lab(), code],
                mode=mode,
                timeout=5,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self.assertEqual(done.returncode, 0)
            self.assertTrue(support.servers())

    def test_daemon_is_killed(self, mode):
        code = (
            "if os.fork(): os._exit(0)\nos.setsid(); os.closerange(0, 1000)\n"
            "open(sys.argv[2], 'w').write(str(os.getpid())); time.sleep(30)"
        )
        proof = support.unique_dir(mode=0o777) / "pid"
        with self.clean(timeout=1.0):
            support.run([support.lab(), code, proof], mode=mode, check=True)
            self.assertTrue(support.wait_until(lambda: proof.exists() and proof.read_text()))
            os.kill(int(proof.read_text()), signal.SIGKILL)


class TestServer(support.TestCase):
    def test_are_detached_processes_with_their_names(self, mode):
        """The supervisor and its child, the server: named, in a session of their own, outside of
        the namespace they serve (or they would keep the mount alive), with few descriptors, no
        capabilities, no core files; nobody else may trace them."""
        before = support.servers()
        with self.clean(), support.start(
            [support.lab(), "print('ready', flush=True); sys.stdin.read()"],
            mode=mode,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            process.stdout.readline()
            servers = support.servers() - before
            self.assertEqual(len(servers), 1)
            server = servers.pop()
            supervisor = int(
                re.search(r"PPid:\t(\d+)", pathlib.Path(f"/proc/{server}/status").read_text())[1]
            )
            self.assertNotEqual(supervisor, process.pid)
            self.assertEqual((os.getsid(server), os.getsid(supervisor)), (supervisor, supervisor))
            # The supervisor also has the root of the mount, and a descriptor of each process it
            # waits for. Both keep the directory that the image is mounted on.
            for pid, name, descriptors in (
                (server, "haft-server", 7),
                (supervisor, "haft-supervisor", 9),
            ):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                self.assertIn(f"Name:\t{name}\n", status)
                self.assertNotIn(f"PPid:\t{process.pid}\n", status)
                self.assertIn("CapEff:\t0000000000000000\n", status)
                self.assertIn("CapPrm:\t0000000000000000\n", status)
                self.assertNotEqual(
                    os.readlink(f"/proc/{pid}/ns/mnt"), os.readlink(f"/proc/{process.pid}/ns/mnt")
                )
                self.assertRegex(
                    pathlib.Path(f"/proc/{pid}/limits").read_text(), r"Max core file size +0 "
                )
                self.assertLessEqual(len(os.listdir(f"/proc/{pid}/fd")), descriptors)
                self.assertEqual(
                    os.stat(f"/proc/{pid}/fd").st_uid, 0, "dumpable"
                )  # the user's own too
                rss = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])
                self.assertLessEqual(rss, 8 << 10, name)
            process.stdin.close()

    def test_nobody_may_trace_them(self, mode):
        """Neither another user nor the user whose they are."""
        attach = (
            "import ctypes, sys; c = ctypes.CDLL(None, use_errno=True); "
            "print([(c.ptrace(16, int(p), 0, 0), ctypes.get_errno()) for p in sys.argv[1:]])"
        )
        before = support.servers()
        with self.clean(), support.start(
            [support.lab(), "print('ready', flush=True); sys.stdin.read()"],
            mode=mode,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            process.stdout.readline()
            (server,) = support.servers() - before
            supervisor = int(
                re.search(r"PPid:\t(\d+)", pathlib.Path(f"/proc/{server}/status").read_text())[1]
            )
            users = [support.PERSON, support.NUMBER] if os.geteuid() == 0 else [support.ROOT]
            for user in users:
                done = support.run(
                    [*user.drop(), support.PYTHON, "-c", attach, str(server), str(supervisor)],
                    check=True,
                )
                self.assertEqual(done.stdout, f"{[(-1, errno.EPERM)] * 2}\n")
            process.stdin.close()

    def test_programs_are_hardened(self):
        """haft and what is in front of each bundle: at random addresses, no executable stack,
        relocations and tables of functions read-only, canaries."""
        for path in (support.HAFT, support.lab()):
            data = pathlib.Path(path).read_bytes()
            kind, machine = struct.unpack_from("<HH", data, 16)
            offset, size, count = (
                struct.unpack_from("<Q", data, 32)[0],
                *struct.unpack_from("<HH", data, 54),
            )
            segments = dict(
                struct.unpack_from("<II", data, offset + size * i) for i in range(count)
            )
            self.assertEqual(kind, 3, "ET_DYN")
            self.assertEqual(segments[0x6474E551] & 1, 0, "PT_GNU_STACK")
            self.assertIn(0x6474E552, segments, "PT_GNU_RELRO")
            if machine == 62:  # x86-64: canaries are compared with %fs:0x28
                self.assertGreater(data.count(b"\x25\x28\x00\x00\x00"), 500)

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_set_user_id_copy_refuses(self):
        path = support.unique_dir() / "lab"
        shutil.copy(support.lab(), path)
        for bits in (0o4755, 0o2755):
            path.chmod(bits)
            with self.clean():
                done = support.run([path, "print('started')"], mode="userns")
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertOneLine(done.stderr, "setuid, setgid or has file capabilities")

    def test_program_holds_no_device(self, mode):
        """Whoever holds /dev/fuse could answer in the server's place, and would keep a dead mount
        hanging."""
        code = (
            "print([os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') "
            "if int(fd) < 3])"
        )
        everything = "print(*(os.path.realpath(f'/proc/self/fd/{fd}') for fd in range(256)))"
        with self.clean():
            for program in (code, everything):
                self.assertNotIn(
                    "fuse", support.run([support.lab(), program], mode=mode, check=True).stdout
                )

    def test_frozen_server_freezes_only_readers(self, mode):
        """SIGSTOP for a second: readers wait, can be killed at once, and go on with the right bytes
        afterwards."""
        code = (
            "print('ready', flush=True); sys.stdin.readline()\n"
            "import lab_lazy.m123; print(lab_lazy.m123.VALUE, flush=True)"
        )
        before = support.servers()
        with self.clean():
            process = support.start(
                [support.lab(), code],
                mode=mode,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            process.stdout.readline()
            server = (support.servers() - before).pop()
            os.kill(server, signal.SIGSTOP)
            process.stdin.write("go\n")
            process.stdin.flush()
            time.sleep(0.5)
            self.assertIsNone(process.poll())
            os.kill(server, signal.SIGCONT)
            self.assertEqual(process.communicate(timeout=10)[0], "123\n")
            self.assertEqual(process.returncode, 0)


@unittest.skipIf(os.geteuid(), "needs root")
class TestDropRights(support.TestCase):
    def test_program_that_drops_to_nobody_still_reads(self):
        code = (
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "import lab_lazy.m60, subprocess\n"
            "data = open('/run/haft/lab/site-packages/lab_data/big.bin', 'rb').read()\n"
            "print(os.getuid(), lab_lazy.m60.VALUE, len(data), flush=True)\n"
            "child = 'import lab_lazy.m61, os; print(os.getuid(), lab_lazy.m61.VALUE)'\n"
            "subprocess.run([sys.executable, '-c', child])"
        )
        with self.clean():
            done = support.run([support.lab(), code], mode="namespace")
        self.assertEqual((done.stdout, done.stderr), ("65534 60 1048576\n65534 61\n", ""))

    def test_worker_of_a_root_master(self):
        """As httpd does it: the master stays root, forked workers drop; both read."""
        code = (
            "pid = os.fork()\n"
            "if not pid: os.setgroups([]); os.setresgid(*[65534] * 3); os.setresuid(*[65534] * 3)\n"
            "import lab_lazy.m70; print(os.getuid(), lab_lazy.m70.VALUE, flush=True)\n"
            "if pid: os.wait()"
        )
        with self.clean():
            done = support.run([support.lab(), code], mode="namespace", check=True)
        self.assertEqual(sorted(done.stdout.splitlines()), ["0 70", "65534 70"])

    def test_permissions_of_the_image_hold(self):
        """default_permissions: what root may read by 0600, the dropped program may not."""
        tree = support.write_tree(
            support.unique_dir(),
            {
                "private.txt": "x",
                "perm.py": (
                    "import os\nprint(len(open(os.path.dirname(__file__) + "
                    "'/private.txt').read()))\nos.setuid(65534)\n"
                    "try: open(os.path.dirname(__file__) + '/private.txt')\n"
                    "except OSError as e: print(e.errno)\n"
                ),
            },
        )
        (tree / "private.txt").chmod(0o600)
        bundle = support.build(tree, "-m", "perm", output=support.unique_dir() / "perm")
        with self.clean():
            self.assertEqual(support.run([bundle], mode="namespace", check=True).stdout, "1\n13\n")
