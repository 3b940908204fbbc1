"""How httpd out of a bundle ends, reloads and survives: signals, terminals, killed processes."""

import fcntl
import http.client
import os
import pty
import signal
import struct
import termios
import threading
import time

import support
from support import web

SECONDS = 60

LAZY = "/run/haft/hello/site-packages/hello_lazy/m{}.py"


class LifetimeCase(support.TestCase):
    def start(self, *options, **settings):
        return web.Server(
            [
                web.hello(self),
                *web.OPTIONS,
                *web.AS_WWW_DATA,
                "--port",
                "{port}",
                "--server-root",
                "{dir}/root",
                *options,
            ],
            **settings,
        )


class TestSignals(LifetimeCase):
    @support.parametrised(name=["TERM", "INT", "WINCH"])
    def test_stop(self, name):
        """WINCH is httpd's graceful stop."""
        with self.clean(), self.start() as server:
            self.assertEqual(server.stop(getattr(signal, f"SIG{name}")), 0)
            self.assertNotIn("Traceback", server.log())

    @support.parametrised(name=["HUP", "USR1"])
    def test_reload(self, name):
        """All modules are opened anew from the mount, all workers are new, the mount is the
        same."""
        with self.clean(), self.start() as server:
            before = server.get("/").json()
            mount = [
                line for line in support.mount_table(server.pid) if " /run/haft/hello " in line
            ]
            server.send(getattr(signal, f"SIG{name}"))

            def replaced():
                try:
                    return server.get("/", timeout=5).json()["pid"] != before["pid"]
                except (OSError, AssertionError):
                    return False

            self.assertTrue(support.wait_until(replaced, 15), server.log())
            after = server.get("/").json()
            self.assertEqual(after["ppid"], server.pid)
            self.assertEqual(server.get("/lazy/5").json(), LAZY.format(5))
            self.assertEqual(
                [line for line in support.mount_table(server.pid) if " /run/haft/hello " in line],
                mount,
            )
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Cannot load", server.log())

    @support.parametrised(name=["TERM", "WINCH"])
    def test_request_in_flight_completes_and_still_imports(self, name):
        """The mount ends last. (At TERM httpd itself drops the client, out of a directory as well,
        and lets the application finish; at WINCH the client gets its answer.)"""
        done = support.unique_dir(mode=0o777) / "done"
        with self.clean(), self.start(env=web.environment(HELLO_LOG=str(done))) as server:
            answers = []

            def ask():
                try:
                    answers.append(server.get("/slow/2/6").json())
                except (OSError, http.client.HTTPException):
                    pass

            asking = threading.Thread(target=ask)
            asking.start()
            time.sleep(0.7)
            self.assertEqual(server.stop(getattr(signal, f"SIG{name}")), 0)
            asking.join(10)
            self.assertNotIn("Traceback", server.log())
        self.assertEqual(done.read_text(), LAZY.format(6))
        if name == "WINCH":
            self.assertEqual(answers, [LAZY.format(6)])


class TestTerminal(LifetimeCase):
    """On a terminal mod_wsgi-express keeps a wrapper process and httpd in a group of its own."""

    def start_on_terminal(self):
        master, slave = pty.openpty()

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        server = self.start(
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=own_terminal,
            ready=None,
            session=False,
        )
        os.close(slave)
        self.addCleanup(os.close, master)
        server.output = bytearray()

        def drain():
            try:
                while data := os.read(master, 65536):
                    server.output.extend(data)
            except OSError:
                pass

        threading.Thread(target=drain, daemon=True).start()
        server.wait_ready()
        return master, server

    def test_interrupt_key(self):
        with self.clean():
            master, server = self.start_on_terminal()
            with server:
                os.write(master, b"\x03")
                self.assertEqual(server.wait(), 0)
                support.wait_until(lambda: b"shutting down" in server.output, 5)
                self.assertIn(b"caught SIGTERM, shutting down", bytes(server.output))

    def test_terminal_is_closed(self):
        """mod_wsgi-express hands the hang-up on; whatever httpd makes of it, its end is clean."""
        with self.clean(timeout=10):
            master, server = self.start_on_terminal()
            with server:
                null = os.open("/dev/null", os.O_RDWR)
                os.dup2(
                    null, master
                )  # closes the terminal: the kernel sends SIGHUP to the session's leader
                os.close(null)
                support.wait_until(lambda: server.process.poll() is not None, 5)
                if server.process.poll() is None:
                    server.send(signal.SIGTERM)
                    server.wait()

    def test_resize_goes_unnoticed(self):
        with self.clean():
            master, server = self.start_on_terminal()
            with server:
                fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
                time.sleep(0.5)
                self.assertEqual(server.get("/lazy/8").json(), LAZY.format(8))


class TestKilled(LifetimeCase):
    def test_master(self):
        """Orphaned workers keep serving from an intact mount; once they are killed, nothing is
        left."""
        with self.clean(timeout=5), self.start() as server:
            workers = list(server.children())
            server.send(signal.SIGKILL)
            self.assertEqual(server.wait(), -signal.SIGKILL)
            self.assertEqual(server.get("/lazy/10").json(), LAZY.format(10))
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            support.wait_until(lambda: not any(support.state(pid) for pid in workers), 5)
