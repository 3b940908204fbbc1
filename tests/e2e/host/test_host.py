"""What a program sees of its host is what it saw before the start, and what becomes of the host
afterwards: automounts, mounts made later, displays, sockets, names, terminals, processes, programs
with the set-user-id bit."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import support
from support import paths, running

SECONDS = 25
AUTOMOUNT = paths.REPO / "tests/e2e/support/automount.py"
# Answers each line of standard input with the value of that expression, or the error.
ANSWER = (
    "import pwd, socket, subprocess\n"
    "for line in sys.stdin:\n"
    "  try: print(ascii(eval(line)), flush=True)\n"
    "  except OSError as e: print(ascii(type(e).__name__ + ' ' + str(e.errno)), flush=True)\n"
    "  except KeyError as e: print(ascii('KeyError'), flush=True)"
)


@contextlib.contextmanager
def asked(command, mode, **options):
    """A function that has an expression evaluated by the program, which runs until the context
    ends."""
    with support.start(
        [*command, ANSWER],
        mode=mode,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    ) as process:

        def ask(expression):
            process.stdin.write(expression + "\n")
            process.stdin.flush()
            return eval(process.stdout.readline())

        ask.pid = process.pid
        assert ask("1 + 1") == 2
        try:
            yield ask
            process.stdin.close()
            assert process.wait(20) == 0
        finally:
            process.kill()


def plain():
    return [support.PYTHON, "-B", support.lab_tree() / "lab.py"]


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def umount(*words):
    subprocess.run(["umount", *map(str, words)], check=True)


class HostCase(support.TestCase):
    """Changes its host, which is the mount namespace of this file's worker."""

    def setUp(self):
        if not os.environ.get("E2E_ISOLATED"):
            self.skipTest("changes the mounts of its host: only in a worker of its own, as root")


class TestAutomount(HostCase):
    @contextlib.contextmanager
    def automounted(self, kind, directory):
        """`directory` is served by an automount daemon; the context's value is (daemon, what it has
        been asked for)."""
        asked_for = []
        daemon = subprocess.Popen(
            [support.PYTHON, AUTOMOUNT, kind, directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.assertEqual(daemon.stdout.readline(), "ready\n")
        reader = threading.Thread(
            target=lambda: asked_for.extend(line.strip() for line in daemon.stdout)
        )
        reader.start()
        try:
            yield daemon, asked_for
        finally:
            daemon.send_signal(signal.SIGCONT)
            daemon.stdin.close()
            self.assertEqual(daemon.wait(20), 0)
            reader.join()
            daemon.stdout.close()

    def test_working_directory(self, mode):
        """In an automount: it is there, its neighbours are mounted when they are asked for, and it
        stays as long as it is used."""
        place = support.unique_dir("auto")
        found = {}
        with self.clean(quiet_host=False):
            for name, command in (("plain", plain()), ("lab", [support.lab()])):
                with self.automounted("indirect", place) as (_, asked_for), asked(
                    command, mode, cwd=place / "work"
                ) as ask:
                    found[name] = [
                        ask(expression)
                        for expression in (
                            "os.getcwd()",
                            "os.listdir('.')",
                            "open('inside').read()",
                            "os.listdir('../other')",
                            "sorted(os.listdir('..'))",
                            f"os.listdir({str(place / 'third')!r})",
                            "os.stat('.').st_dev == os.stat('..').st_dev",
                            "subprocess.run(['cat', 'inside'], capture_output=True).stdout",
                        )
                    ]
                    busy = subprocess.run(
                        ["umount", place / "work"], check=False, capture_output=True
                    )
                    self.assertNotEqual(busy.returncode, 0)
                    self.assertEqual(ask("os.listdir('.')"), ["inside"])
                    ask("os.chdir('/')")
                    umount(place / "work")
                    self.assertTrue(
                        support.wait_until(lambda: asked_for == ["work", "other", "third"]),
                        asked_for,
                    )
        self.assertEqual(found["lab"], found["plain"])
        self.assertEqual(found["lab"][:3], [str(place / "work"), ["inside"], "inside\n"])

    def test_automount_at_the_top_is_not_set_off_by_a_start(self, mode):
        """/data from a file server, of all starts the first would wait for it. The program itself
        gets it, when it asks."""
        place = pathlib.Path(tempfile.mkdtemp(prefix="e2e-auto-", dir="/"))
        place.chmod(0o755)
        try:
            with self.clean(quiet_host=False), self.automounted("direct", place) as (
                daemon,
                asked_for,
            ):
                daemon.send_signal(signal.SIGSTOP)  # as if the file server were away
                with asked([support.lab()], mode) as ask:
                    self.assertIn(place.name, ask("os.listdir('/')"))
                    daemon.send_signal(signal.SIGCONT)
                    self.assertEqual(asked_for, [])
                    self.assertEqual(ask(f"os.listdir({str(place)!r})"), ["inside"])
                    self.assertTrue(support.wait_until(lambda: len(asked_for) == 1), asked_for)
        finally:
            place.rmdir()


class TestLaterMounts(HostCase):
    """The host's mounts as they change, in the program's namespace."""

    def bundles(self, table):
        return [line for line in table if line.split(" - ")[1].startswith("fuse.haft")]

    def test_mount_bind_and_unmount_are_seen(self, mode):
        place = support.unique_dir("later")
        for name in ("before", "new", "bound"):
            (place / name).mkdir()
        before = self.bundles(support.mount_table())
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.clean(quiet_host=False))
            mount("-t", "tmpfs", "none", place / "before")
            (place / "before/old").touch()
            ask = stack.enter_context(asked([support.lab()], mode))

            def seen(name):
                return ask(f"os.listdir({str(place / name)!r})")

            self.assertEqual((seen("before"), seen("new")), (["old"], []))
            mount("-t", "tmpfs", "-o", "mode=0777", "none", place / "new")
            (place / "new/file").touch()
            (place / "new/deep").mkdir()
            self.assertEqual(sorted(seen("new")), ["deep", "file"])
            mount("--bind", place / "new", place / "bound")
            mount("-t", "tmpfs", "none", place / "new/deep")
            (place / "new/deep/er").touch()
            self.assertEqual((sorted(seen("bound")), seen("new/deep")), (["deep", "file"], ["er"]))
            self.assertEqual(
                ask(
                    f"subprocess.run(['ls', {str(place / 'new/deep')!r}], "
                    f"capture_output=True).stdout"
                ),
                b"er\n",
            )
            ask(f"open({str(place / 'bound/written')!r}, 'w').close()")
            self.assertTrue((place / "new/written").exists())
            for name in ("new/deep", "bound", "new", "before"):
                umount(place / name)  # not busy: nothing of the bundle's holds it
            self.assertEqual((seen("new"), seen("bound"), seen("before")), ([], [], []))
            # What the bundle has mounted is in its own namespace only.
            self.assertEqual(self.bundles(support.mount_table()), before)
            own = [
                line
                for line in self.bundles(support.mount_table(ask.pid))
                if line.split()[4] == "/haft/lab"
            ]
            self.assertEqual(len(own), 1, own)
            self.assertNotIn("shared:", own[0])

    def test_mount_of_the_program_stays_in_its_namespace(self):
        """Root's program mounts something: as with `unshare -m`, the host does not see it. That is
        documented."""
        place = support.unique_dir("inner")
        with self.clean(), asked([support.lab()], "namespace") as ask:
            words = ["mount", "-t", "tmpfs", "none", str(place)]
            self.assertEqual(ask(f"subprocess.run({words}).returncode"), 0)
            self.assertEqual(ask(f"os.path.ismount({str(place)!r})"), True)
            self.assertFalse(os.path.ismount(place))

    def test_fuse_mounts_below_one_another(self, mode):
        """The working directory is in a FUSE mount, made before the start or after it, inside
        another FUSE mount."""
        tree = support.write_tree(support.unique_dir("nest"), {"m.py": "", "nest/empty/.keep": ""})
        carrier = support.build(tree, "-m", "m", output=support.unique_dir() / "nest")
        outer = support.unique_dir("outer")
        inner = outer / "site-packages/nest/empty"
        with self.clean(quiet_host=False):
            support.haft("mount", "--allow-other", carrier, outer)
            try:
                mount("-t", "tmpfs", "none", inner)
                (inner / "dir").mkdir()
                support.haft("mount", "--allow-other", carrier, inner / "dir")
                deep = inner / "dir/site-packages/nest"
                with asked([support.lab()], mode, cwd=deep) as ask:
                    self.assertEqual(
                        (ask("os.getcwd()"), ask("os.listdir('.')")), (str(deep), ["empty"])
                    )
                    self.assertEqual(
                        ask("os.listdir(os.path.dirname(os.getcwd()))"), ask("os.listdir('..')")
                    )
                with asked([support.lab()], mode) as ask:
                    support.haft("umount", inner / "dir")
                    self.assertEqual(ask(f"os.listdir({str(inner / 'dir')!r})"), [])
                    support.haft("mount", "--allow-other", carrier, inner / "dir")
                    self.assertEqual(
                        ask(f"os.chdir({str(deep)!r}) or [os.getcwd(), os.listdir('.')]"),
                        [str(deep), ["empty"]],
                    )
                support.haft("umount", inner / "dir")
            finally:
                umount("-R", "-l", outer)


class Listener:
    """A display server, as far as a client that comes in can tell: it says who the kernel says the
    client is, passes a file, and prints what is in the one it gets."""

    def __init__(self, address):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(address)
        if address[0] != "\0":
            os.chmod(address, 0o777)
        self._socket.listen()
        self.clients = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, tempfile.TemporaryFile() as file:
                pid, uid, gid = struct.unpack(
                    "iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                )
                file.write(b"from the server")
                file.flush()
                socket.send_fds(client, [f"{uid} {gid}".encode()], [file.fileno()])
                _, (fd,), _, _ = socket.recv_fds(client, 16, 1)
                self.clients.append((pid, os.pread(fd, 100, 0)))
                os.close(fd)
                client.send(b"bye")

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


CLIENT = (
    "import socket, tempfile\n"
    "for address in sys.argv[2:]:\n"
    "  s = socket.socket(socket.AF_UNIX); s.connect(address.replace('@', chr(0)))\n"
    "  text, (fd,), _, _ = socket.recv_fds(s, 100, 1)\n"
    "  f = tempfile.TemporaryFile(); f.write(b'from the client'); f.flush()\n"
    "  socket.send_fds(s, [b'x'], [f.fileno()])\n"
    "  print(address, text.decode(), os.pread(fd, 100, 0).decode(), s.recv(9).decode(), "
    "os.environ['DISPLAY'], open(os.environ['XAUTHORITY']).read())"
)


class TestSockets(HostCase):
    def test_displays(self, mode):
        """X11's two sockets and Wayland's: connected to, who connects is known, descriptors go both
        ways."""
        uid = support.NOBODY if mode == "userns" else 0
        with self.covered("/tmp") as tmp:
            (tmp / ".X11-unix").mkdir()
            runtime = tmp / "run-user"
            runtime.mkdir(0o700)
            (tmp / "xauth").write_text("cookie")
            for path, mode_bits in (
                (tmp / ".X11-unix", 0o1777),
                (runtime, 0o700),
                (tmp / "xauth", 0o600),
            ):
                path.chmod(mode_bits)
                os.chown(path, uid, uid)
            addresses = ["@/tmp/.X11-unix/X99", "/tmp/.X11-unix/X99", f"{runtime}/wayland-0"]
            servers = [Listener(address.replace("@", "\0")) for address in addresses]
            env = support.clean_env(
                DISPLAY=":99",
                WAYLAND_DISPLAY="wayland-0",
                XDG_RUNTIME_DIR=str(runtime),
                XAUTHORITY=str(tmp / "xauth"),
            )
            try:
                ends = []
                for command in (plain(), [support.lab()]):
                    with self.clean():
                        done = support.run(
                            [*command, CLIENT, *addresses], mode=mode, env=env, check=True
                        )
                    ends.append(done.stdout)
            finally:
                for server in servers:
                    server.close()
            self.assertEqual(
                ends[0].splitlines(),
                [f"{a} {uid} {uid} from the server bye :99 cookie" for a in addresses],
            )
            self.assertEqual(ends[1], ends[0])
            for server in servers:
                self.assertEqual([text for _, text in server.clients], [b"from the client"] * 2)

    def test_sockets_in_run(self, mode):
        """Of the host, made before and after the start; and of the program, for the host. A FIFO as
        well."""
        with self.covered("/run") as run, self.clean(), asked([support.lab()], mode) as ask:
            run.chmod(0o1777)
            later = run / "later"
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
                server.bind(str(later))
                later.chmod(0o777)
                ask("globals().update(s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))")
                ask(f"s.sendto(b'to the host', {str(later)!r})")
                self.assertEqual(server.recv(99), b"to the host")
                ask("s.bind('/run/own')")
                server.sendto(b"to the program", "/run/own")
                self.assertEqual(ask("s.recv(99)"), b"to the program")
            os.mkfifo(run / "fifo")
            (run / "fifo").chmod(0o666)
            fifo = os.open(run / "fifo", os.O_RDWR)
            ask("open('/run/fifo', 'w').write('through it')")
            self.assertEqual(os.read(fifo, 99), b"through it")
            os.close(fifo)


class Nscd:
    """nscd or what stands for it: answers getpwnam() of one name through /run/nscd/socket."""

    def __init__(self, directory, user):
        (directory / "nscd").mkdir()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(directory / "nscd/socket"))
        (directory / "nscd/socket").chmod(0o666)
        self._socket.listen()
        self._user = user
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                _, kind, size = struct.unpack("iii", client.recv(12))
                key = client.recv(size)
                if kind == 0 and key == self._user.encode() + b"\0":  # GETPWBYNAME
                    fields = [
                        text.encode() + b"\0"
                        for text in (self._user, "x", "from nscd", "/nonexistent", "/bin/false")
                    ]
                    sizes = [len(field) for field in fields]
                    client.send(
                        struct.pack("iiiiIIiii", 2, 1, sizes[0], sizes[1], 7777, 8888, *sizes[2:])
                        + b"".join(fields)
                    )
                # Anything else, its shared memory for one: the connection just ends, and the C
                # library looks into the files.

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class NameServer:
    """Answers each question for an IPv4 address with `answer`."""

    def __init__(self, address, answer):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._answer = socket.inet_aton(answer)
        self._open = True
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            query, client = self._socket.recvfrom(512)
            if not query:
                return
            end = query.index(b"\0", 12) + 5  # name, type, class
            kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
            record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + self._answer if kind == 1 else b""
            head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if record else b"\0\0") + b"\0\0\0\0"
            self._socket.sendto(head + query[12:end] + record, client)

    def close(self):
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


class TestNames(HostCase):
    """Users and hosts, with the files that say how they are found replaced while the program runs,
    as package managers and resolvconf do."""

    def replace(self, path, text):
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").chmod(0o644)
        path.with_suffix(".new").rename(path)

    def conversation(self, etc, command, mode):
        def look_up(name):
            return ask(
                f"[a[4][0] for a in socket.getaddrinfo({name!r}, 1, socket.AF_INET, "
                f"socket.SOCK_STREAM)]"
            )

        def user(name):
            return ask(f"list(pwd.getpwnam({name!r}))[:6]")

        self.replace(etc / "nsswitch.conf", "passwd: files\nhosts: files\n")
        self.replace(etc / "hosts", "127.0.0.1 localhost\n")
        self.replace(etc / "resolv.conf", "nameserver 127.77.0.1\n")
        shutil.copy("/etc/passwd", etc / "passwd.old")
        with asked(command, mode) as ask:
            yield look_up("one.e2e.test")
            self.replace(etc / "hosts", "127.0.0.1 localhost\n127.5.5.5 one.e2e.test\n")
            yield look_up("one.e2e.test")
            self.replace(etc / "nsswitch.conf", "passwd: files\nhosts: files dns\n")
            yield look_up("two.e2e.test")
            self.replace(etc / "resolv.conf", "nameserver 127.77.0.2\n")
            yield look_up("two.e2e.test")
            yield user("daemon_of_nscd"), user("root"), user("nobody_knows"), user("later")
            self.replace(
                etc / "passwd", (etc / "passwd.old").read_text() + "later:x:4711:4712::/:/bin/sh\n"
            )
            yield user("later")
            self.replace(etc / "passwd", (etc / "passwd.old").read_text())

    def test_files_of_etc_are_replaced_while_it_runs(self, mode):
        with contextlib.ExitStack() as stack:
            etc = stack.enter_context(self.covered("/etc", copy=True))
            run = stack.enter_context(self.covered("/run"))
            run.chmod(0o755)
            for server in (
                Nscd(run, "daemon_of_nscd"),
                NameServer("127.77.0.1", "127.6.6.6"),
                NameServer("127.77.0.2", "127.7.7.7"),
            ):
                stack.callback(server.close)
            expected = list(self.conversation(etc, plain(), mode))
            with self.clean():
                found = list(self.conversation(etc, [support.lab()], mode))
        self.assertEqual(found, expected)
        self.assertEqual(
            expected,
            [
                "gaierror -2",
                ["127.5.5.5"],
                ["127.6.6.6"],
                ["127.7.7.7"],
                (
                    ["daemon_of_nscd", "x", 7777, 8888, "from nscd", "/nonexistent"],
                    ["root", "x", 0, 0, "root", "/root"],
                    "KeyError",
                    "KeyError",
                ),
                ["later", "x", 4711, 4712, "", "/"],
            ],
        )


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
        if mode == "userns":
            os.chown(name, support.NOBODY, -1)
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
        nobody = pwd.getpwuid(support.NOBODY).pw_name
        suid = self.set_uid_program()
        code = (
            "import subprocess, lab_lazy.m5\n"
            "def show(*words): print(subprocess.run(words, capture_output=True, text=True))\n"
            f"show('sudo', '-n', '-u', {nobody!r}, 'id', '-u')\n"
            f"show('sudo', '-n', '-u', '#4242', {suid!r}, '-u')\n"
            f"show('su', '-s', '/bin/sh', {nobody!r}, '-c', 'id -u; pwd')\n"
            f"show('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', {suid!r}, '-u')\n"
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
        for text in ("'65534\\n'", "'0\\n'", "'65534\\n/usr/share\\n'", "'0 True\\n'"):
            self.assertIn(text, ends[1])

    def test_set_user_id_programs_of_a_user(self):
        """As docs/haft.1 says: without power under userns, with it under fusermount and extract."""
        code = (
            f"import subprocess, lab_lazy.m5; subprocess.run([{self.set_uid_program()!r}, "
            f"'-u']); print(lab_lazy.m5.VALUE)"
        )
        for haft_mode, uid in (("userns", support.NOBODY), ("fusermount", 0), ("extract", 0)):
            with self.subTest(haft_mode=haft_mode), self.clean(
                timeout=4.0, quiet_host=haft_mode != "fusermount"
            ):
                done = support.run(
                    [support.lab(), code], mode="userns", env=support.clean_env(HAFT_MODE=haft_mode)
                )
                self.assertEqual(
                    (done.stdout, done.stderr, done.returncode), (f"{uid}\n5\n", "", 0)
                )
