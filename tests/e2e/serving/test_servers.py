"""Servers as they come, out of a bundle or through haft exec: gunicorn, uvicorn, uWSGI,
apachectl."""

import concurrent.futures
import os
import signal

import support
from support import mod_wsgi, trees, web

SECONDS = 60

LAZY = "/run/haft/{}/site-packages/hello_lazy/m{}.py"

# numpy behind Flask: extension modules with libraries of their own.
DETERMINANT = {
    "det.py": """\
import flask, numpy, sys

app = application = flask.Flask(__name__)

@app.route("/")
def determinant():
    return {"value": float(numpy.linalg.det(numpy.array([[1.0, 2.0], [3.0, 4.0]]))),
            "file": numpy.__file__,
            "maps": len({line.split()[5] for line in open("/proc/self/maps") if "/run/haft/" in line
                and ".so" in line})}

def main():
    import mod_wsgi.server
    mod_wsgi.server.start("--application-type", "module", "det", *sys.argv[1:])
"""
}


def gunicorn():
    return trees.cached_bundle(
        "gunicorn", ("-c", "gunicorn"), lambda: [support.tree("gunicorn"), web.site_tree()]
    )


class TestGunicorn(support.TestCase):
    def start(self, *options, **settings):
        return web.Server(
            [
                gunicorn(),
                "--bind",
                "127.0.0.1:{port}",
                "--pid",
                "{dir}/pid",
                *options,
                "hello_site.wsgi",
            ],
            **settings,
        )

    def test_reload_at_hup(self):
        with self.clean(), self.start("--user", "www-data") as server:
            before = server.get("/").json()
            self.assertEqual(before["uid"], web.WWW_DATA)
            server.send(signal.SIGHUP)
            self.assertTrue(
                support.wait_until(
                    lambda: server.answers() and server.get("/").json()["pid"] != before["pid"], 15
                )
            )
            self.assertEqual(server.get("/lazy/1").json(), LAZY.format("gunicorn", 1))
            self.assertEqual(server.stop(), 0)

    def test_new_master_at_usr2(self):
        with self.clean(timeout=5), self.start() as server:
            old_worker = server.get("/").json()["pid"]
            server.send(signal.SIGUSR2)
            pid_file = server.directory / "pid.2"
            self.assertTrue(support.wait_until(pid_file.exists, 15), server.log())
            new = int(pid_file.read_text())
            self.assertEqual(server.stop(), 0)
            answer = server.get("/").json()
            self.assertNotEqual(answer["pid"], old_worker)
            self.assertEqual(answer["ppid"], new)
            self.assertEqual(server.get("/lazy/2").json(), LAZY.format("gunicorn", 2))
            os.kill(new, signal.SIGTERM)
            self.assertTrue(support.wait_until(lambda: support.state(new) in (None, "Z"), 10))

    def test_daemon_survives_the_launcher(self):
        with self.clean(timeout=5), self.start("--daemon", ready=None) as server:
            self.assertEqual(server.wait(), 0)
            server.process.poll = lambda: None  # the daemon goes on
            server.wait_ready()
            self.assertEqual(server.get("/lazy/3").json(), LAZY.format("gunicorn", 3))
            del server.process.poll
            master = int((server.directory / "pid").read_text())
            os.kill(master, signal.SIGTERM)
            self.assertTrue(support.wait_until(lambda: support.state(master) in (None, "Z"), 10))


class TestHostsServers(support.TestCase):
    """Installed on the host, run in the bundle's environment."""

    def test_uwsgi(self):
        bundle = gunicorn()
        command = [
            support.HAFT,
            "exec",
            bundle,
            "--",
            "uwsgi-core",
            "--plugin",
            "python3",
            "--http-socket",
            "127.0.0.1:{port}",
            "--uid",
            "www-data",
            "--gid",
            "www-data",
            "--master",
            "--processes",
            "2",
            "--module",
            "hello_site.wsgi",
            "--die-on-term",
        ]
        with self.clean(timeout=5), web.Server(command) as server:
            facts = server.get("/").json()
            self.assertEqual(
                (facts["uid"], facts["file"]),
                (web.WWW_DATA, "/run/haft/gunicorn/site-packages/hello_site/wsgi.py"),
            )
            self.assertEqual(server.get("/lazy/4").json(), LAZY.format("gunicorn", 4))
            self.assertEqual(server.stop(), 0)

    def test_uvicorn_workers(self):
        bundle = trees.cached_bundle(
            "uvicorn", ("-c", "uvicorn"), lambda: [support.tree("python3-uvicorn"), web.site_tree()]
        )
        command = [
            bundle,
            "--interface",
            "wsgi",
            "--workers",
            "2",
            "--port",
            "{port}",
            "hello_site.wsgi:application",
        ]
        with self.clean(timeout=5), web.Server(command) as server:
            self.assertEqual(server.get("/lazy/5").json(), LAZY.format("uvicorn", 5))
            server.stop()

    def test_debians_mod_wsgi_with_a_configuration_written_by_hand(self):
        """No mod_wsgi-express, no Python file of mod_wsgi: PYTHONPATH alone."""
        root = support.unique_dir()
        port = web.free_port()
        modules = "/usr/lib/apache2/modules"
        script = "/run/haft/gunicorn/site-packages/hello_site/wsgi.py"
        (root / "httpd.conf").write_text(
            f"ServerRoot {root}\nServerName localhost\nPidFile {root}/pid\n"
            f"Listen 127.0.0.1:{port}\nErrorLog /dev/stderr\n"
            f"LoadModule mpm_event_module {modules}/mod_mpm_event.so\n"
            f"LoadModule authz_core_module {modules}/mod_authz_core.so\n"
            f"LoadModule wsgi_module {modules}/mod_wsgi.so\nUser www-data\nGroup www-data\n"
            f"WSGISocketPrefix {root}/wsgi\n"
            f"DefaultRuntimeDir {root}\n"
            f"WSGIDaemonProcess hand processes=2\nWSGIProcessGroup hand\n"
            f"WSGIScriptAlias / {script}\n"
            f"<Directory /run/haft/gunicorn>\nRequire all granted\n</Directory>\n"
        )
        command = [
            support.HAFT,
            "exec",
            gunicorn(),
            "--",
            "/usr/sbin/apache2",
            "-f",
            str(root / "httpd.conf"),
            "-DFOREGROUND",
        ]
        with self.clean(), web.Server(command, port=port) as server:
            self.assertEqual(server.get("/").json()["uid"], web.WWW_DATA)
            self.assertEqual(server.get("/lazy/6").json(), LAZY.format("gunicorn", 6))
            self.assertEqual(server.stop(), 0)


class TestApachectl(support.TestCase):
    """setup-server now, apachectl later: every command through haft exec."""

    def test_whole_life(self):
        bundle = web.hello(self)
        root = support.unique_dir() / "root"
        port = web.free_port()

        def inside(*command):
            return support.haft("exec", bundle, "--", *command, env=web.environment(), cwd="/")

        with self.clean(timeout=5):
            inside(
                "mod_wsgi-express",
                "setup-server",
                *web.OPTIONS,
                *web.AS_WWW_DATA,
                "--port",
                str(port),
                "--server-root",
                str(root),
                "--application-type",
                "module",
                "hello_site.wsgi",
            )
            # A service: outside of the test's session, like started at boot.
            server = web.Server(["true"], port=port, ready=None)
            with server:
                server.wait()
                self.assertIn("Syntax OK", inside(f"{root}/apachectl", "configtest").stderr)
                inside(f"{root}/apachectl", "start")
                self.assertTrue(support.wait_until(server.answers, 15))
                master = int((root / "httpd.pid").read_text())
                self.assertEqual(web.parent(master), 1)
                first = server.get("/").json()["pid"]
                inside(f"{root}/apachectl", "graceful")
                self.assertTrue(
                    support.wait_until(
                        lambda: server.answers() and server.get("/").json()["pid"] != first, 15
                    )
                )
                self.assertEqual(int((root / "httpd.pid").read_text()), master)
                self.assertEqual(server.get("/lazy/7").json(), LAZY.format("hello", 7))
                # Joining the running one works as well.
                attached = support.haft(
                    "exec", "--attach", str(master), "--", f"{root}/apachectl", "configtest"
                )
                self.assertIn("Syntax OK", attached.stderr)
                inside(f"{root}/apachectl", "stop")
                self.assertTrue(
                    support.wait_until(lambda: support.state(master) in (None, "Z"), 10)
                )


class TestNumpy(support.TestCase):
    def test_three_processes_two_hundred_requests_at_once(self):
        inputs = [
            mod_wsgi.require_express(self),
            support.tree("python3-flask"),
            support.tree("python3-numpy"),
            support.write_tree(support.unique_dir(), DETERMINANT),
        ]
        bundle = support.build(inputs, "-e", "det:main", output=support.unique_dir() / "flask")
        command = [
            bundle,
            *web.OPTIONS,
            *web.AS_WWW_DATA,
            "--port",
            "{port}",
            "--server-root",
            "{dir}/root",
            "--processes",
            "3",
        ]
        with self.clean(), web.Server(command) as server:
            facts = server.get("/").json()
            self.assertAlmostEqual(facts["value"], -2)
            self.assertEqual(facts["file"], "/run/haft/flask/site-packages/numpy/__init__.py")
            self.assertGreaterEqual(facts["maps"], 14)
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                statuses = list(pool.map(lambda _: server.get("/").status, range(200)))
            self.assertEqual(set(statuses), {200})
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log())
