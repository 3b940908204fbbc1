"""Users and hosts are found as on the host: by nscd, by name servers, in files of /etc that
change."""

import contextlib
import shutil
import socket
import struct
import threading

import support
from support.host import HostCase, asked, plain

SECONDS = 5


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
