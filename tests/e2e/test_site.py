"""haft build --wsgi: a bundle that configures and becomes its server."""

import os
import pathlib
import signal
import socket
import time

import support
from support import trees, web

SECONDS = 60

FACTS = "/haft/site/site-packages/hello_site/wsgi.py"


def site(*options, packages=()):
    """The bundle `site` of the test application; packages: Debian's, beside it."""
    inputs = [web.site_tree(), *map(support.tree, packages)]
    return trees._cached("site", ("--wsgi", "hello_site.wsgi:application", *options), lambda: inputs)


def as_www_data():
    return ["--user", "www-data"] if os.geteuid() == 0 else []


def private_directories():
    return set(pathlib.Path("/tmp").glob("site-*"))


class TestHttpd(support.TestCase):
    """With Debian's httpd and mod_wsgi."""

    def start(self, *options, **settings):
        return web.Server([site(), "--port", "{port}", *options], **settings)

    def test_serves_and_leaves_nothing(self):
        before = private_directories()
        with self.clean(), self.start("--user", "www-data", "--processes", "2", "--threads", "3", "--access-log") as server:
            facts = server.get("/").json()
            self.assertEqual((facts["uid"], facts["file"], facts["cwd"]), (web.WWW_DATA, FACTS, "/"))
            self.assertEqual(server.get("/lazy/1").json(), "/haft/site/site-packages/hello_lazy/m1.py")
            self.assertEqual(facts["ppid"], server.pid)  # the bundle's process is httpd
            self.assertEqual(sum(line.startswith("(wsgi:site)") for line in server.children().values()), 2)
            (directory,) = private_directories() - before
            self.assertEqual((directory / "httpd.conf").stat().st_mode & 0o777, 0o600)
            self.assertEqual(server.stop(), 0)
            self.assertIn('"GET / HTTP/1.1" 200', server.log())
            self.assertNotIn("Traceback", server.log())
        self.assertTrue(support.wait_until(lambda: private_directories() == before))

    def test_killed_leaves_no_directory(self):
        before = private_directories()
        with self.clean(), self.start("--user", "www-data") as server:
            workers = list(server.children())
            server.send(signal.SIGKILL)
            self.assertEqual(server.wait(), -signal.SIGKILL)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
        self.assertTrue(support.wait_until(lambda: private_directories() == before))

    def test_ordinary_user(self):
        before = private_directories()
        with self.clean(), self.start(mode="userns") as server:
            self.assertEqual(server.get("/").json()["uid"], support.NOBODY)
            (directory,) = private_directories() - before
            self.assertEqual(directory.stat().st_mode & 0o777, 0o700)
            self.assertEqual(server.stop(signal.SIGWINCH), 0)

    def test_graceful_restart(self):
        with self.clean(), self.start("--user", "www-data") as server:
            before = server.get("/").json()["pid"]
            server.send(signal.SIGUSR1)
            self.assertTrue(support.wait_until(lambda: server.answers() and server.get("/").json()["pid"] != before, 15))
            self.assertEqual(server.stop(), 0)

    def test_static_files(self):
        directory = support.write_tree(support.unique_dir(), {"a.css": "body {}", "deep/b.txt": "deep"})
        with self.start("--user", "www-data", "--static", f"/files={directory}", "--static", "/pkg=hello_site:") as server:
            answer = server.get("/files/a.css")
            self.assertEqual((answer.status, answer.body, answer.headers["Content-Type"]), (200, b"body {}", "text/css"))
            self.assertEqual(server.get("/files/deep/b.txt").body, b"deep")
            self.assertEqual(server.get("/pkg/data.txt").body, b"package data")
            self.assertEqual(server.get("/files/none").status, 404)
            self.assertEqual(server.get("/files/../httpd.conf").status, 200)  # the application's

    def test_log_on_a_socket_as_under_systemd(self):
        """/dev/stderr cannot be opened when it is a socket."""
        ours, theirs = socket.socketpair()
        with ours, theirs, self.start("--user", "www-data", "--access-log", stdout=theirs, stderr=theirs) as server:
            theirs.close()
            ours.settimeout(10)
            text = b""
            while b'"GET / HTTP/1.1" 200' not in text:
                text += ours.recv(65536)
            self.assertEqual(server.stop(), 0)
            while data := ours.recv(65536):
                text += data
        self.assertIn(b"shutting down", text)

    def test_port_that_is_taken(self):
        before = private_directories()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with self.clean():
                done = support.run([site(), *as_www_data(), "--port", str(taken.getsockname()[1])])
        self.assertEqual(done.returncode, 1)
        self.assertIn("Address already in use: AH00072", done.stderr)
        self.assertTrue(support.wait_until(lambda: private_directories() == before))

    def test_wrong_configuration(self):
        wrong = support.unique_dir() / "wrong.conf"
        wrong.write_text("NoSuchDirective on\n")
        done = support.run([site(), *as_www_data(), "--port", str(web.free_port()), "--include", str(wrong)])
        self.assertEqual(done.returncode, 1)
        self.assertIn("Invalid command 'NoSuchDirective'", done.stderr)

    def refused(self, *options, status=125):
        done = support.run([site(), "--port", str(web.free_port()), *options])
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def test_refusals(self):
        private = support.unique_dir(mode=0o700)
        self.assertOneLine(self.refused("--user", "www-data", "--working-directory", str(private)),
                           f"--working-directory '{private}': user 'www-data' may not read it")
        self.assertOneLine(self.refused("--user", "www-data", "--static", f"/x={private}"), "may not read it")
        self.assertOneLine(self.refused("--user", "www-data", "--static", "/x=/no/such"), "no such directory")
        self.assertOneLine(self.refused("--user", "www-data", "--static", "/x=nopackage:static"), "there is no package")
        self.assertOneLine(self.refused("--user", "nobody-at-all"), "no such user")
        self.assertOneLine(self.refused(), "httpd does not serve as root")
        self.assertIn("not between 1 and 65535", self.refused("--port", "70000", status=2))

    def test_help_and_configuration(self):
        done = support.run([site(), "--help"], check=True)
        self.assertIn("example:", done.stdout)
        done = support.run([site(), *as_www_data(), "--print-configuration"], check=True)
        self.assertIn('WSGIScriptAlias / "/haft/site/.haft/serve/application.wsgi"', done.stdout)

    def test_missing_libpython(self):
        """A host without libpython: refused by us, not by httpd in words about LoadModule."""
        hide = ("for f in /usr/lib/x86_64-linux-gnu/libpython3*.so.1.0; do mount --bind /dev/null $f; done; "
                'exec "$0" "$@"')
        done = support.run(["unshare", "-m", "sh", "-c", hide, site(), *as_www_data(), "--port", str(web.free_port())])
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "mod_wsgi needs libpython3.", "--bundle-python")


class TestBuild(support.TestCase):
    def refused(self, *options):
        done = support.haft("build", "--site-packages", web.site_tree(), *options, "-o", support.unique_dir() / "x", check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_refusals(self):
        self.assertOneLine(self.refused("--wsgi", "no_such.wsgi:application"), "module 'no_such'")
        self.assertOneLine(self.refused("--wsgi", "hello_site.wsgi", "--server", "iis"), "not one of httpd, gunicorn")
        self.assertIn("--server goes with --wsgi", self.refused("-m", "hello_site", "--server", "httpd"))


class TestPythonServers(support.TestCase):
    @support.parametrised(server=["gunicorn", "uvicorn", "waitress"])
    def test_serves(self, server):
        static = support.write_tree(support.unique_dir(), {"a.css": "body {}"})
        command = [site("--server", server, packages=["python3-" + server]), "--port", "{port}", "--user", "www-data", "--threads", "2",
                   "--static", f"/files={static}", "--access-log"]
        with self.clean(), web.Server(command) as running:
            facts = running.get("/").json()
            self.assertEqual((facts["uid"], facts["file"]), (web.WWW_DATA, FACTS))
            answer = running.get("/files/a.css")
            self.assertEqual((answer.status, answer.body, answer.headers["Content-Type"]), (200, b"body {}", "text/css"))
            for path in ("/files/../x", "/files/%2e%2e/%2e%2e/etc/passwd", "/files/none"):
                self.assertNotIn(b"root:", running.get(path).body)
            self.assertEqual(running.get("/files/none").status, 404)
            self.assertEqual(running.get("/files/a.css", method="HEAD").body, b"")
            self.assertIn(running.stop(), (0, -signal.SIGTERM))
            self.assertIn("GET / HTTP/1.1", running.log())

    def test_gunicorn_starts_itself_anew(self):
        """SIGUSR2 executes sys.executable with sys.argv: a new master beside the old one."""
        command = [site("--server", "gunicorn", packages=["python3-gunicorn"]), "--port", "{port}", "--processes", "2"]
        with self.clean(timeout=5), web.Server(command) as server:
            server.send(signal.SIGUSR2)
            self.assertTrue(support.wait_until(
                lambda: any(web.parent(pid) == server.pid and "_haft_serve" in line and len([p for p in web.processes() if web.parent(p) == pid])
                            for pid, line in web.processes().items()), 15), server.log())
            new = next(pid for pid in server.children() if any(web.parent(other) == pid for other in web.processes()))
            self.assertEqual(server.stop(), 0)
            facts = server.get("/").json()
            self.assertEqual(facts["ppid"], new)
            self.assertEqual(server.get("/lazy/2").json(), "/haft/site/site-packages/hello_lazy/m2.py")
            os.kill(new, signal.SIGTERM)
            support.wait_until(lambda: support.state(new) is None, 8)

    def test_uvicorn_workers(self):
        command = [site("--server", "uvicorn", packages=["python3-uvicorn"]), "--port", "{port}", "--processes", "2"]
        with self.clean(timeout=5), web.Server(command) as server:
            pids = set()
            end = time.monotonic() + 10
            while len(pids) < 2 and time.monotonic() < end:
                pids.add(server.get("/").json()["pid"])
            self.assertNotIn(server.pid, pids)
            self.assertEqual(server.get("/lazy/3").json(), "/haft/site/site-packages/hello_lazy/m3.py")
            server.stop()

    def test_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = support.run([site("--server", "waitress", packages=["python3-waitress"]), "--port", str(taken.getsockname()[1])])
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "Address already in use")
