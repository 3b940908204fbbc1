"""Bundles that serve: haft build --wsgi/--asgi, with httpd, gunicorn, uvicorn and waitress."""

import fcntl
import http.client
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
import unittest

import support
from support import trees, web

SECONDS = 60

LAZY = "/haft/shop/site-packages/hello_lazy/m{}.py"
ROOT = os.geteuid() == 0
MOD_WSGI = "/usr/lib/apache2/modules/mod_wsgi.so"


def shop(server="httpd", *more):
    """The bundle of web.site_tree() that serves with `server`."""
    options = ("--wsgi", "hello_site.wsgi:application", "--server", server, *more)
    return trees.cached_bundle("shop", options, lambda: [web.site_tree()])


def small_site(name, files, *options):
    """A bundle of a few files, made anew."""
    return support.build(
        support.write_tree(support.unique_dir(), files),
        *options,
        output=support.unique_dir() / name,
    )


def user_options(mode):
    return ["--user", "www-data"] if mode == "namespace" else []


def left_behind():
    """Private directories of starts where temporary ones would be."""
    return sorted(
        str(path)
        for place in ("/run", "/tmp", "/var/tmp")
        for path in pathlib.Path(place).glob("haft-shop-*")
    )


class SiteCase(support.TestCase):
    def start(self, bundle, *options, **settings):
        return web.Server([bundle, "--port", "{port}", *options], **settings)

    def refused(self, *parts, status=125, options=(), bundle=None, **settings):
        done = support.run([bundle or shop(), *options], **settings)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertOneLine(done.stderr, *parts, start="haft: 'shop': ")


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
            self.assertEqual(facts["uid"], web.WWW_DATA if mode == "namespace" else support.NOBODY)
            self.assertEqual(facts["file"], "/haft/shop/site-packages/hello_site/wsgi.py")
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
                server.get("/spawn").json(), ["/haft/shop/site-packages/hello_site/__init__.py"] * 2
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
            self.assertFalse(os.path.exists("/haft/.run"))
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

    def in_flight(self, number, *, answered, bundle=None):
        done = support.unique_dir(mode=0o777) / "done"
        options = user_options(support.MODES[0]) if bundle is None else []
        with self.clean(), self.start(
            bundle or shop(), *options, env=web.environment(HELLO_LOG=str(done))
        ) as server:
            answers = []

            def ask():
                try:
                    answers.append(server.get("/slow/1.5/6").json())
                except (OSError, http.client.HTTPException):
                    pass

            asking = threading.Thread(target=ask)
            asking.start()
            time.sleep(0.5)
            self.assertEqual(server.stop(number), 0)
            asking.join(10)
            self.assertNotIn("Traceback", server.log())
        self.assertEqual(done.read_text(), LAZY.format(6))
        if answered:
            self.assertEqual(answers, [LAZY.format(6)])

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
        self.assertLess(path.index("/haft/shop/site-packages"), path.index("/other"))

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


@unittest.skipUnless(ROOT, "needs root")
class TestRefusals(SiteCase):
    """Each in one line, before httpd starts, with status 125."""

    def test_root_without_user(self):
        self.refused("httpd does not serve as root; add --user www-data", cwd="/")
        self.refused("httpd does not serve as root", options=["--user", "root"], cwd="/")

    def test_unknown_user_and_group(self):
        self.refused("--user 'nosuch': there is no such user", options=["--user", "nosuch"])
        self.refused(
            "--group 'nosuch': there is no such group",
            options=["--user", "nobody", "--group", "nosuch"],
        )

    def test_only_root_changes_the_user(self):
        self.refused(
            "--user: only root can become another one",
            options=["--user", "www-data"],
            mode="userns",
            cwd="/",
        )

    def test_port(self):
        self.refused("--port: 'http' is not a number from 1 to 65535", options=["--port", "http"])

    def test_privileged_port_is_refused_by_the_server(self):
        done = support.run([shop(), "--port", "1"], mode="userns", cwd="/")
        self.assertEqual(done.returncode, 1)
        self.assertIn(
            "Permission denied: AH00072: make_sock: could not bind to address 127.0.0.1:1",
            done.stderr,
        )

    def test_working_directory_the_user_may_not_enter(self):
        """A daemon process of mod_wsgi would end again and again, and requests hang."""
        private = support.unique_dir(mode=0o700)
        for server in ("httpd", "gunicorn", "uvicorn", "waitress"):
            self.refused(
                f"working directory '{private}': Permission denied; use --working-directory DIR",
                bundle=shop(server),
                options=["--user", "www-data"],
                cwd=private,
            )
        self.refused(
            "working directory '/nosuch': No such file",
            options=["--user", "www-data", "--working-directory", "/nosuch"],
        )

    def test_static_files_the_user_may_not_read(self):
        private = support.unique_dir(mode=0o700)
        self.refused(
            f"static files '{private}': the server's user cannot read them",
            options=["--user", "www-data", "--static", f"/s={private}"],
            cwd="/",
        )

    def test_no_httpd(self):
        hide = 'mount --bind /dev/null /usr/sbin/apache2 && exec "$@"'
        done = support.run(
            ["unshare", "-m", "sh", "-c", hide, "sh", shop(), "--user", "www-data"], cwd="/"
        )
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(
            done.stderr,
            "httpd: neither 'apache2' nor 'httpd' is there; install it (Debian: apache2-bin)",
            start="haft: 'shop': ",
        )

    def test_no_mod_wsgi(self):
        empty = support.unique_dir()
        self.refused(
            f"mod_wsgi: neither in the bundle nor in '{empty}'; install it (Debian: "
            f"libapache2-mod-wsgi-py3)",
            options=["--user", "www-data", "--modules-directory", empty],
            cwd="/",
        )

    def mod_wsgi_that_needs(self, library):
        content = pathlib.Path(MOD_WSGI).read_bytes()
        self.assertEqual(content.count(b"\0libpython3.11.so.1.0\0"), 1)
        file = support.unique_dir() / "mod_wsgi.so"
        file.write_bytes(content.replace(b"\0libpython3.11.so.1.0\0", b"\0" + library + b"\0"))
        return ["--user", "www-data", "--mod-wsgi", file]

    def test_mod_wsgi_of_another_python(self):
        self.refused(
            "made for Python 3.12, this bundle is for Python 3.11",
            options=self.mod_wsgi_that_needs(b"libpython3.12.so.1.0"),
            cwd="/",
        )

    def test_mod_wsgi_without_its_libpython(self):
        self.refused(
            "needs libpython3.11.so.9.9, which is not there; install it (Debian: libpython3.11)",
            options=self.mod_wsgi_that_needs(b"libpython3.11.so.9.9"),
            cwd="/",
        )

    def test_mod_wsgi_that_is_none(self):
        self.refused(
            "mod_wsgi '/etc/passwd': not a 64-bit ELF file",
            options=["--user", "www-data", "--mod-wsgi", "/etc/passwd"],
            cwd="/",
        )

    def test_options_a_server_does_not_have(self):
        for server, options in (
            ("gunicorn", ["--server-name", "x"]),
            ("uvicorn", ["--threads", "2"]),
            ("uvicorn", ["--static", "/s=/"]),
            ("waitress", ["--error-log", "/tmp/x"]),
        ):
            self.refused(
                f"{options[0]}: {server} has nothing like it",
                options=["--server", server, *options],
            )


class TestServers(SiteCase):
    @support.parametrised(server=["gunicorn", "uvicorn", "waitress"])
    def test_serves(self, server, mode):
        with self.clean(), self.start(shop(server), *user_options(mode), mode=mode) as running:
            facts = running.get("/").json()
            self.assertEqual(facts["uid"], web.WWW_DATA if mode == "namespace" else support.NOBODY)
            self.assertEqual(facts["file"], "/haft/shop/site-packages/hello_site/wsgi.py")
            self.assertIn(running.pid, (facts["pid"], facts["ppid"]))
            self.assertEqual(running.get("/lazy/1").json(), LAZY.format(1))
            self.assertEqual(running.stop(), 0)

    @support.parametrised(server=["gunicorn", "uvicorn", "waitress"])
    def test_TERM_answers_the_request_in_flight(self, server):
        TestHttpd.in_flight(self, signal.SIGTERM, answered=True, bundle=shop(server))

    @support.parametrised(server=["gunicorn", "uvicorn", "waitress"])
    def test_taken_port(self, server):
        extra = support.write_tree(
            support.unique_dir(), {"gunicorn.conf.py": "proxy_allow_ips = '*'\n"}
        )
        with socket.socket() as taken, self.clean():
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            options = ["--include-file", extra / "gunicorn.conf.py"] if server == "gunicorn" else []
            done = support.run(
                [shop(server), "--port", str(taken.getsockname()[1]), *options], cwd="/"
            )
        self.assertEqual(done.returncode, 125 if server == "waitress" else 1, done.stderr)
        self.assertRegex(done.stderr, "(?i)address already in use|can't connect to")
        self.assertNotIn("Traceback", done.stderr)

    def test_gunicorn_reloads(self):
        with self.clean(), self.start(shop("gunicorn"), "--processes", "2") as server:
            before = server.get("/").json()["pid"]
            server.send(signal.SIGHUP)
            self.assertTrue(
                support.wait_until(
                    lambda: server.answers() and before not in server.children(), 15
                ),
                server.log(),
            )
            self.assertEqual(server.get("/lazy/4").json(), LAZY.format(4))
            self.assertEqual(server.stop(), 0)

    def test_gunicorn_USR2_starts_the_new_version_of_the_bundle(self, mode):
        """Without a moment in which nobody listens."""

        def version(text):
            files = {
                "shop.py": "import os\n\ndef app(environ, start_response):\n"
                "  start_response('200 OK', [])\n"
                f"  return [b'{text}']\n"
            }
            return small_site("shop", files, "--wsgi", "shop:app", "--server", "gunicorn")

        bundle = version("one")
        with self.clean(timeout=5), self.start(bundle, mode=mode) as server:
            self.assertEqual(server.get("/").body, b"one")
            os.replace(version("two"), bundle)
            server.send(signal.SIGUSR2)

            def masters():
                """The new one is the child with workers; setproctitle would hide its variables."""
                parents = {web.parent(pid) for pid in web.processes()}
                return [pid for pid in server.children() if pid in parents]

            self.assertTrue(
                support.wait_until(lambda: masters() and server.get("/").body == b"two", 15),
                server.log(),
            )
            (new,) = masters()
            server.send(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            self.assertEqual([server.get("/").body for _ in range(5)], [b"two"] * 5)
            os.kill(new, signal.SIGTERM)
            self.assertTrue(support.wait_until(lambda: support.state(new) in (None, "Z"), 10))

    def test_uvicorn_spawns_processes(self):
        with self.clean(), self.start(shop("uvicorn"), "--processes", "2") as server:
            facts = server.get("/").json()
            self.assertEqual(facts["ppid"], server.pid)
            self.assertEqual(facts["file"], "/haft/shop/site-packages/hello_site/wsgi.py")
            self.assertEqual(server.stop(), 0)

    def test_asgi(self, mode):
        files = {
            "shop.py": "async def app(scope, receive, send):\n"
            "    if scope['type'] != 'http': return\n"
            "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
            "    await send({'type': 'http.response.body', 'body': __file__.encode()})\n"
        }
        bundle = small_site("shop", files, "--asgi", "shop:app")
        with self.clean(), self.start(bundle, *user_options(mode), mode=mode) as server:
            self.assertEqual(server.get("/").body, b"/haft/shop/site-packages/shop.py")
            self.assertEqual(server.stop(), 0)
        self.refused(
            "httpd: cannot serve an ASGI application", bundle=bundle, options=["--server", "httpd"]
        )

    @unittest.skipUnless(ROOT, "needs root")
    def test_missing_server(self):
        hide = 'mount -t tmpfs none /usr/lib/python3/dist-packages && exec "$@"'
        done = support.run(["unshare", "-m", "sh", "-c", hide, "sh", shop("waitress")], cwd="/")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(
            done.stderr, "waitress: neither in the bundle nor on this host", start="haft: 'shop': "
        )

    def test_server_in_the_bundle(self):
        bundle = support.build(
            [support.tree("python3-waitress"), web.site_tree()],
            "--wsgi",
            "hello_site.wsgi",
            "--server",
            "waitress",
            output=support.unique_dir() / "shop",
        )
        command = [bundle]
        if ROOT:
            hide = 'mount -t tmpfs none /usr/lib/python3/dist-packages && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", hide, "sh", bundle]
        with self.clean(), web.Server([*command, "--port", "{port}"]) as server:
            self.assertEqual(server.get("/").json()["pid"], server.pid)


DJANGO = {
    "shop/__init__.py": "",
    "shop/urls.py": "from django.contrib import admin\nfrom django.urls import path\n"
    "urlpatterns = [path('admin/', admin.site.urls)]\n",
    "shop/wsgi.py": "import os\nfrom django.core.wsgi import get_wsgi_application\n"
    "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
    "application = get_wsgi_application()\n",
    "shop/settings.py": """\
SECRET_KEY = "test"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.sessions", "django.contrib.messages",
                  "django.contrib.staticfiles"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
              "OPTIONS": {
    "context_processors": ["django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
                           "django.contrib.messages.context_processors.messages"]}}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
""",
}

FLASK = {
    "board.py": "import flask\n\ndef create():\n    app = flask.Flask(__name__)\n"
    "    app.add_url_rule('/', view_func=lambda: flask.__file__)\n    return app\n"
}


class TestApplications(SiteCase):
    def test_django_with_static_files(self, mode):
        own = support.write_tree(support.unique_dir(), DJANGO)
        with trees.made_once("django-shop") as directory:
            if not directory.exists():
                directory.mkdir()
                support.build(
                    [support.tree("python3-django"), own],
                    "--wsgi",
                    "shop.wsgi:application",
                    output=directory / "shop",
                )
        options = [
            "--static",
            "/static/admin=/haft/shop/site-packages/django/contrib/admin/static/admin",
        ]
        with self.clean(), self.start(
            directory / "shop", *options, *user_options(mode), mode=mode, ready="/admin/login/"
        ) as server:
            page = server.get("/admin/login/")
            self.assertEqual(page.status, 200)
            self.assertIn(b"csrfmiddlewaretoken", page.body)
            css = server.get("/static/admin/css/base.css")
            self.assertEqual((css.status, css.headers["Content-Type"]), (200, "text/css"))
            plain = (
                support.tree("python3-django") / "django/contrib/admin/static/admin/css/base.css"
            )
            self.assertEqual(css.body, plain.read_bytes())
            self.assertEqual(server.get("/admin/").status, 302)
            self.assertEqual(server.stop(), 0)

    @support.parametrised(server=["httpd", "gunicorn"])
    def test_flask_made_by_a_function(self, server):
        own = support.write_tree(support.unique_dir(), FLASK)
        bundle = support.build(
            [support.tree("python3-flask"), own],
            "--wsgi",
            "board:create()",
            "--server",
            server,
            output=support.unique_dir() / "board",
        )
        with self.clean(), self.start(bundle, *user_options(support.MODES[0])) as running:
            self.assertEqual(running.get("/").body, b"/haft/board/site-packages/flask/__init__.py")
            self.assertEqual(running.stop(), 0)


class TestBuild(SiteCase):
    def failed(self, *options):
        done = support.haft(
            "build",
            "--site-packages",
            web.site_tree(),
            *options,
            "-o",
            support.unique_dir() / "x",
            check=False,
        )
        self.assertNotEqual(done.returncode, 0)
        return done

    def test_usage(self):
        self.assertIn(
            "--server goes with --wsgi", self.failed("-m", "hello_site", "--server", "httpd").stderr
        )
        self.assertIn(
            "only one of", self.failed("-m", "hello_site", "--wsgi", "hello_site.wsgi").stderr
        )

    def test_mistakes(self):
        self.assertIn(
            "did you mean 'gunicorn'?",
            self.failed("--wsgi", "hello_site.wsgi", "--server", "gunicron").stderr,
        )
        self.assertIn("is not MODULE:FUNCTION", self.failed("--wsgi", "hello_site/wsgi.py").stderr)
        self.assertIn(
            "module 'nosuch': neither in the inputs", self.failed("--wsgi", "nosuch:app").stderr
        )
        self.assertIn(
            "cannot serve an ASGI application",
            self.failed("--asgi", "hello_site.wsgi", "--server", "httpd").stderr,
        )

    def test_info_tells_what_it_serves(self):
        self.assertEqual(
            support.info(shop("uvicorn"))["site"],
            {
                "interface": "wsgi",
                "application": "hello_site.wsgi:application",
                "server": "uvicorn",
            },
        )

    def test_help_shows_an_example(self):
        done = support.run([shop(), "--help"], check=True)
        self.assertIn("example:\n  shop --port 8080", done.stdout)


class TestVariables(support.TestCase):
    def test_HTTPD_does_not_replace_a_bundled_httpd(self):
        """mod_wsgi-express would start the program that HTTPD names."""
        code = {"main.py": "import os\nprint(os.environ.get('HTTPD'))\n"}
        plain = small_site("plain", code, "-m", "main")
        own = small_site("own", {**code, "mod_wsgi_packages/httpd/__init__.py": ""}, "-m", "main")
        env = support.clean_env(HTTPD="/bin/false")
        self.assertEqual(support.run([plain], env=env, check=True).stdout, "/bin/false\n")
        self.assertEqual(support.run([own], env=env, check=True).stdout, "None\n")
