"""haft build --wsgi with servers out of the bundle and static files; test_serve.py has the rest."""

import os
import signal
import time

import support
from support import trees, web

SECONDS = 60

FACTS = "/run/haft/site/site-packages/hello_site/wsgi.py"


def site(*options, packages=()):
    """The bundle `site` of the test application; packages: Debian's, beside it."""
    inputs = [web.site_tree(), *map(support.tree, packages)]
    return trees.cached_bundle(
        "site", ("--wsgi", "hello_site.wsgi:application", *options), lambda: inputs
    )


def as_www_data():
    return ["--user", "www-data"] if os.geteuid() == 0 else []


class TestHttpd(support.TestCase):
    """With Debian's httpd and mod_wsgi."""

    def start(self, *options, **settings):
        return web.Server([site(), "--port", "{port}", *options], **settings)

    def test_static_files(self):
        directory = support.write_tree(
            support.unique_dir(), {"a.css": "body {}", "deep/b.txt": "deep"}
        )
        with self.start(
            "--user", "www-data", "--static", f"/files={directory}", "--static", "/pkg=hello_site:"
        ) as server:
            answer = server.get("/files/a.css")
            self.assertEqual(
                (answer.status, answer.body, answer.headers["Content-Type"]),
                (200, b"body {}", "text/css"),
            )
            self.assertEqual(server.get("/files/deep/b.txt").body, b"deep")
            self.assertEqual(server.get("/pkg/data.txt").body, b"package data")
            self.assertEqual(server.get("/files/none").status, 404)
            self.assertEqual(server.get("/x/../files/a.css").body, b"body {}")

    def test_modes_of_files_hold_for_workers(self):
        """What only root may read in the bundle, root's httpd does not serve: its workers are
        another user."""
        tree = support.write_tree(
            support.unique_dir(), {**web.site_files(), "hello_site/private.txt": "private"}
        )
        (tree / "hello_site/private.txt").chmod(0o600)
        bundle = support.build(
            tree, "--wsgi", "hello_site.wsgi:application", output=support.unique_dir() / "site"
        )
        with web.Server(
            [bundle, "--port", "{port}", *as_www_data(), "--static", "/pkg=hello_site:"]
        ) as server:
            self.assertEqual(server.get("/pkg/data.txt").status, 200)
            self.assertEqual(server.get("/pkg/private.txt").status, 403 if as_www_data() else 200)

    def refused(self, *options, status=125):
        done = support.run([site(), "--port", str(web.free_port()), *options])
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def test_refusals(self):
        self.assertOneLine(
            self.refused("--user", "www-data", "--static", "/x=/no/such"), "is not there"
        )
        self.assertOneLine(
            self.refused("--user", "www-data", "--static", "/x=nopackage:static"),
            "there is no package",
        )
        self.assertOneLine(self.refused("--port", "70000"), "not a number from 1 to 65535")

    def test_missing_libpython(self):
        """A host without libpython: refused by us, not by httpd in words about LoadModule."""
        hide = (
            "for f in /usr/lib/x86_64-linux-gnu/libpython3*.so.1.0; do mount --bind /dev/null "
            "$f; done; "
            'exec "$0" "$@"'
        )
        done = support.run(
            [
                "unshare",
                "-m",
                "sh",
                "-c",
                hide,
                site(),
                *as_www_data(),
                "--port",
                str(web.free_port()),
            ]
        )
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "needs libpython3.", "--bundle-httpd")


class TestPythonServers(support.TestCase):
    @support.parametrised(server=["gunicorn", "waitress"])
    def test_serves(self, server):
        static = support.write_tree(support.unique_dir(), {"a.css": "body {}"})
        command = [
            site("--server", server, packages=["python3-" + server]),
            "--port",
            "{port}",
            "--user",
            "www-data",
            "--threads",
            "2",
            "--static",
            f"/files={static}",
            "--access-log",
        ]
        with self.clean(), web.Server(command) as running:
            facts = running.get("/").json()
            self.assertEqual((facts["uid"], facts["file"]), (web.WWW_DATA, FACTS))
            answer = running.get("/files/a.css")
            self.assertEqual(
                (answer.status, answer.body, answer.headers["Content-Type"]),
                (200, b"body {}", "text/css"),
            )
            for path in ("/files/../x", "/files/%2e%2e/%2e%2e/etc/passwd", "/files/none"):
                self.assertNotIn(b"root:", running.get(path).body)
            self.assertEqual(running.get("/files/none").status, 404)
            self.assertEqual(running.get("/files/a.css", method="HEAD").body, b"")
            self.assertIn(running.stop(), (0, -signal.SIGTERM))
            self.assertIn("GET / HTTP/1.1", running.log())

    def test_uvicorn_workers(self):
        command = [
            site("--server", "uvicorn", packages=["python3-uvicorn"]),
            "--port",
            "{port}",
            "--processes",
            "2",
        ]
        with self.clean(timeout=5), web.Server(command) as server:
            pids = set()
            end = time.monotonic() + 10
            while len(pids) < 2 and time.monotonic() < end:
                pids.add(server.get("/").json()["pid"])
            self.assertNotIn(server.pid, pids)
            self.assertEqual(
                server.get("/lazy/3").json(), "/run/haft/site/site-packages/hello_lazy/m3.py"
            )
            server.stop()
