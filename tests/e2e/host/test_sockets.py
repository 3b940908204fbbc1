"""Displays, sockets and FIFOs of the host, from within a bundle."""

import os
import socket
import struct
import tempfile
import threading

import support
from support.host import HostCase, asked, plain

SECONDS = 5


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
        user = support.user_in(mode)
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
                user.own(path)
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
                [f"{a} {user.uid} {user.gid} from the server bye :99 cookie" for a in addresses],
            )
            self.assertEqual(ends[1], ends[0])
            for server in servers:
                self.assertEqual([text for _, text in server.clients], [b"from the client"] * 2)

    def test_sockets_in_run(self, mode):
        """Of the host, made before and after the start; and of the program, for the host. A FIFO as
        well."""
        if mode == "userns":
            self.skipTest("what is made directly in /run later is not seen: docs/compatibility.md")
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
