"""Bundles that serve with httpd: haft build --wsgi, signals, logs, terminals."""

import fcntl
import os
import pathlib
import pty
import select
import signal
import socket
import struct
import termios
import threading
import time

import support
from support import web
from support.shop import LAZY, MOD_WSGI, SiteCase, served_by, shop, user_options

SECONDS = 30


def left_behind():
    """Private directories of starts where temporary ones would be."""
    return sorted(
        str(path)
        for place in ("/run", "/tmp", "/var/tmp")
        for path in pathlib.Path(place).glob("haft-shop-*")
    )


class TestHttpd(SiteCase):
    def test_serves(self, mode):
        static = support.write_tree(
            support.unique_dir(), {"a b.css": "body {}", "sub/x.bin": b"\0" * 5000}
        )
        single = support.write_tree(
            support.unique_dir(), {"robots.txt": "Disallow: /", "secret": "s"}
        )
        options = [
            "--processes",
            "2",
            "--threads",
            "3",
            "--static",
            f"/static={static}",
            "--access-log",
            "--static",
            f"/robots.txt={single}/robots.txt",
            *user_options(mode),
        ]
        with self.clean(), self.start(shop(), *options, mode=mode) as server:
            facts = server.get("/").json()
            self.assertEqual(facts["uid"], served_by(mode))
            self.assertEqual(facts["file"], "/run/haft/shop/site-packages/hello_site/wsgi.py")
            self.assertEqual(facts["cwd"], str(server.directory))
            self.assertNotIn(facts["cwd"], facts["path"])
            # The process that was started is httpd.
            self.assertEqual(facts["ppid"], server.pid)
            self.assertEqual(os.readlink(f"/proc/{server.pid}/exe"), "/usr/sbin/apache2")
            workers = {
                pid for pid, line in server.children().items() if line.startswith("(wsgi:shop)")
            }
            self.assertEqual(len(workers), 2)
            self.assertEqual(server.get("/lazy/1").json(), LAZY.format(1))
            self.assertEqual(
                server.get("/spawn").json(),
                ["/run/haft/shop/site-packages/hello_site/__init__.py"] * 2,
            )
            css = server.get("/static/a%20b.css")
            self.assertEqual(
                (css.status, css.headers["Content-Type"], css.body), (200, "text/css", b"body {}")
            )
            self.assertEqual(server.get("/static/sub/x.bin").body, b"\0" * 5000)
            self.assertEqual(server.get("/static/absent").status, 404)
            self.assertEqual(server.get("/robots.txt").body, b"Disallow: /")
            self.assertEqual(server.get("/static/../../secret").status, 400)
            # Its private files are in memory, in its own namespace only.
            self.assertEqual(left_behind(), [])
            self.assertFalse(os.path.exists("/run/haft/NAME/.haft/run"))
            self.assertEqual(server.stop(), 0)
            self.assertIn('"GET /lazy/1 HTTP/1.1" 200 ', server.log())
            self.assertNotIn("warn]", server.log())
        self.assertEqual(left_behind(), [])

    @support.parametrised(name=["HUP", "USR1"])
    def test_restarts_keep_serving(self, name, mode):
        with self.clean(), self.start(shop(), *user_options(mode), mode=mode) as server:
            before = server.get("/").json()["pid"]
            server.send(getattr(signal, f"SIG{name}"))

            def new_worker():
                answer = server.get("/")  # 503 while mod_wsgi's daemons change
                return answer.status == 200 and answer.json()["pid"] != before

            self.assertTrue(
                support.wait_until(lambda: server.answers() and new_worker(), 15), server.log()
            )
            support.wait_until(lambda: server.answers("/lazy/2"), 15)
            self.assertEqual(server.get("/lazy/2").json(), LAZY.format(2))
            self.assertEqual(server.stop(), 0)

    def test_graceful_stop_answers_the_request_in_flight(self):
        self.in_flight(signal.SIGWINCH, answered=True)

    def test_TERM_lets_the_application_finish_the_request_in_flight(self):
        """httpd drops the client, out of a directory as well."""
        self.in_flight(signal.SIGTERM, answered=False)

    def test_killed_master_leaves_nothing_once_its_workers_are_gone(self):
        with self.clean(timeout=5), self.start(shop(), *user_options(support.MODES[0])) as server:
            workers = list(server.children())
            server.send(signal.SIGKILL)
            self.assertEqual(server.wait(), -signal.SIGKILL)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            support.wait_until(lambda: not any(support.state(pid) for pid in workers), 5)

    def test_taken_port(self, mode):
        with socket.socket() as taken, self.clean():
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = support.run(
                [shop(), "--port", str(port), *user_options(mode)], mode=mode, cwd="/"
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"could not bind to address 127.0.0.1:{port}", done.stderr)

    def test_error_in_an_included_file(self):
        extra = (
            support.write_tree(support.unique_dir(), {"extra.conf": "NoSuchDirective on\n"})
            / "extra.conf"
        )
        with self.clean():
            done = support.run(
                [shop(), "--include-file", extra, *user_options(support.MODES[0])], cwd="/"
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(
            f"Syntax error on line 1 of {extra}:\nInvalid command 'NoSuchDirective'", done.stderr
        )

    def test_included_file_loads_modules(self):
        extra = (
            support.write_tree(
                support.unique_dir(),
                {
                    "extra.conf": (
                        "LoadModule headers_module modules/mod_headers.so\nHeader set X-Extra yes\n"
                    )
                },
            )
            / "extra.conf"
        )
        with self.clean(), self.start(
            shop(), "--include-file", extra, *user_options(support.MODES[0])
        ) as server:
            self.assertEqual(server.get("/").headers["X-Extra"], "yes")

    def test_modules_of_the_working_directory_do_not_replace_the_bundle(self):
        for server in ("httpd", "gunicorn", "uvicorn", "waitress"):
            directory = support.unique_dir("evil", mode=0o777)
            support.write_tree(
                directory, {"hello_lazy/__init__.py": "", "hello_lazy/m3.py": "raise SystemExit(3)"}
            )
            with self.subTest(server), self.clean(), self.start(
                shop(server), *user_options(support.MODES[0]), cwd=directory
            ) as running:
                self.assertEqual(running.get("/lazy/3").json(), LAZY.format(3))

    def test_logs_to_files_and_names_with_spaces(self, mode):
        directory = support.unique_dir("a b's %h $HOME #1", mode=0o777)
        options = [
            "--error-log",
            directory / "errors",
            "--access-log",
            directory / "requests",
            "--working-directory",
            directory,
            "--static",
            f"/s={directory}",
        ]
        with self.clean(), self.start(
            shop(), *options, *user_options(mode), mode=mode, cwd="/"
        ) as server:
            self.assertEqual(server.get("/").json()["cwd"], str(directory))
            self.assertEqual(server.get("/s/requests").status, 200)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(server.log(), "")
        self.assertIn("shutting down", (directory / "errors").read_text())
        self.assertIn('"GET /s/requests', (directory / "requests").read_text())

    def test_logs_to_a_socket(self, mode):
        """systemd's journal is one: it cannot be opened by name, as httpd wants to."""
        ours, theirs = socket.socketpair()
        with ours, self.clean(), self.start(
            shop(), "--access-log", *user_options(mode), mode=mode, stdout=theirs, stderr=theirs
        ) as server:
            theirs.close()
            ours.settimeout(10)
            text = b""
            while b'"GET / HTTP/1.1" 200' not in text:
                text += ours.recv(65536)
            self.assertEqual(server.stop(), 0)
            text = b"".join(iter(lambda: ours.recv(65536), b""))
        self.assertIn(b"shutting down", text)

    def test_environment_reaches_the_application(self):
        env = web.environment(FOO_BAR="kept", PYTHONPATH="/other")
        with self.clean(), self.start(shop(), *user_options(support.MODES[0]), env=env) as server:
            facts = server.get("/").json()
        self.assertEqual(facts["environ"]["FOO_BAR"], "kept")
        path = facts["path"]
        self.assertLess(path.index("/run/haft/shop/site-packages"), path.index("/other"))

    def test_print_config(self, mode):
        done = support.run(
            [shop(), "--print-config", "--port", "81", *user_options(mode)],
            mode=mode,
            cwd="/",
            check=True,
        )
        self.assertIn("Listen 127.0.0.1:81\n", done.stdout)
        self.assertIn(f'LoadModule wsgi_module "{MOD_WSGI}"\n', done.stdout)

    def test_another_server_than_built(self):
        with self.clean(), self.start(shop(), "--server", "waitress") as server:
            self.assertEqual(server.get("/").json()["pid"], server.pid)
            self.assertEqual(server.stop(), 0)


class Terminal:
    """The other side of a pty, read all the time."""

    def __init__(self, master):
        self.master = master
        self.output = bytearray()
        self._closing = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        # Not in read(2) when it is closed: that would keep the terminal alive.
        while not self._closing:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.output.extend(os.read(self.master, 65536))
                except OSError:
                    return  # nobody has it open

    def close(self):
        if not self._closing:
            self._closing = True
            self._reader.join()
            os.close(self.master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class TestTerminal(SiteCase):
    def on_terminal(self, *options):
        """(its other side, the server)"""
        master, slave = pty.openpty()

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        server = self.start(
            shop(),
            *options,
            *user_options(support.MODES[0]),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=own_terminal,
            ready=None,
            session=False,
        )
        os.close(slave)
        return Terminal(master), server

    def test_control_c(self):
        with self.clean():
            terminal, server = self.on_terminal()
            with server, terminal:
                server.wait_ready()
                os.write(terminal.master, b"\x03")
                self.assertEqual(server.wait(), 0)
                self.assertTrue(
                    support.wait_until(lambda: b"shutting down" in terminal.output, 5),
                    terminal.output,
                )

    def test_a_new_size_does_not_stop_it(self):
        """The terminal sends SIGWINCH, which httpd takes for an order to stop."""
        with self.clean():
            terminal, server = self.on_terminal()
            with server, terminal:
                server.wait_ready()
                fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
                time.sleep(0.5)
                self.assertEqual(server.get("/lazy/8").json(), LAZY.format(8))

    def test_ends_with_its_terminal(self):
        """SIGHUP makes httpd open its logs again, and the terminal is not there any more."""
        with self.clean(timeout=10):
            terminal, server = self.on_terminal()
            with server, terminal:
                server.wait_ready()
                terminal.close()
                server.wait(15)
