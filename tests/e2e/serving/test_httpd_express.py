"""mod_wsgi-express out of a bundle, unchanged: Apache httpd spawned against the mount."""

import os
import signal
import sys

import support
from support import mod_wsgi, trees, web

SECONDS = 60  # builds mod_wsgi

CLASSIC = "is not a package"  # "No module named 'mod_wsgi.server'; 'mod_wsgi' is not a package"
STDLIB = f"/usr/lib/python3.{sys.version_info[1]}"


class ExpressCase(support.TestCase):
    def assertHealthy(self, server):
        self.assertNotIn(CLASSIC, server.log())
        self.assertNotIn("Traceback", server.log())


class TestStartServer(ExpressCase):
    def start(self, *options):
        script = web.wsgi_script(support.unique_dir())
        return web.Server(
            [
                web.express(self),
                "start-server",
                *web.OPTIONS,
                *web.AS_WWW_DATA,
                "--port",
                "{port}",
                "--server-root",
                "{dir}/root",
                *options,
                script,
            ]
        )

    def test_daemon_mode(self):
        with self.clean(), self.start() as server:
            facts = server.get("/").json()
            configuration = (server.directory / "root" / "httpd.conf").read_text()
            self.assertEqual(server.stop(), 0)
            self.assertHealthy(server)
        site_packages = "/run/haft/express/site-packages"
        self.assertEqual(facts["uid"], web.WWW_DATA)
        self.assertEqual(facts["mod_wsgi"], f"{site_packages}/mod_wsgi/__init__.py")
        self.assertEqual(facts["path"][0], str(server.directory))
        self.assertLess(facts["path"].index(STDLIB), facts["path"].index(site_packages))
        self.assertIn(
            f"LoadModule wsgi_module '{site_packages}/mod_wsgi/server/mod_wsgi-py3", configuration
        )
        self.assertIn("python-path=''", configuration)

    @support.parametrised(option=["--embedded-mode", "--debug-mode", "--processes=4"])
    def test_other_modes(self, option):
        with self.clean(), self.start(option) as server:
            self.assertEqual(
                server.get("/").json()["mod_wsgi"],
                "/run/haft/express/site-packages/mod_wsgi/__init__.py",
            )
            if option == "--processes=4":
                workers = [line for line in server.children().values() if line.startswith("(wsgi:")]
                self.assertEqual(len(workers), 4)
            self.assertEqual(server.stop(), 0)
            self.assertHealthy(server)


class TestBundledHttpd(ExpressCase):
    """mod_wsgi-express with httpd and Python in the bundle, on a host whose own are hidden."""

    seconds = 180

    def test_nothing_of_the_hosts_httpd(self):
        tree = mod_wsgi.require_express(self)
        bundle = trees.cached_bundle(
            "standalone", ("-c", "mod_wsgi-express", "--bundle-httpd"), lambda: [tree]
        )
        hide = (
            "for d in /usr/sbin /usr/lib/apache2 /usr/lib/python3.11; do mount -t tmpfs none "
            '$d; done; exec "$0" "$@"'
        )
        command = [
            "unshare",
            "-m",
            "sh",
            "-c",
            hide,
            bundle,
            "start-server",
            *web.OPTIONS,
            *web.AS_WWW_DATA,
            "--port",
            "{port}",
            "--server-root",
            "{dir}/root",
            web.wsgi_script(support.unique_dir()),
        ]
        with self.clean(timeout=5), web.Server(
            command, env=web.environment(HTTPD="/bin/false"), seconds=60
        ) as server:
            facts = server.get("/").json()
            self.assertEqual(
                (facts["uid"], facts["prefix"]), (web.WWW_DATA, "/run/haft/standalone/usr")
            )
            self.assertEqual(
                os.readlink(f"/proc/{server.pid}/exe"), "/run/haft/standalone/usr/loader/apache2"
            )
            with open(f"/proc/{server.pid}/maps") as file:
                maps = file.read()
            self.assertIn("/run/haft/standalone/usr/lib/httpd/modules/mod_mpm_event.so", maps)
            self.assertNotIn(" /usr/lib/apache2", maps)
            self.assertNotIn("/usr/lib/x86_64-linux-gnu/libapr", maps)
            server.send(signal.SIGUSR1)
            self.assertTrue(support.wait_until(lambda: server.replaced(facts["pid"]), 20))
            self.assertNotIn("LD_LIBRARY_PATH", facts["environ"])
            self.assertEqual(server.stop(), 0)
            self.assertHealthy(server)


class TestWithoutFuse(ExpressCase):
    """Unpacked instead of mounted: where www-data can read it, and gone afterwards."""

    def test_start_server(self):
        script = web.wsgi_script(support.unique_dir())
        command = [
            web.express(self),
            "start-server",
            *web.OPTIONS,
            *web.AS_WWW_DATA,
            "--port",
            "{port}",
            "--server-root",
            "{dir}/root",
            script,
        ]
        with self.clean(timeout=5, quiet_host=False), web.Server(
            command, env=web.environment(HAFT_MODE="extract")
        ) as server:
            facts = server.get("/").json()
            self.assertEqual(facts["uid"], web.WWW_DATA)
            self.assertTrue(
                facts["mod_wsgi"].endswith("/site-packages/mod_wsgi/__init__.py"), facts["mod_wsgi"]
            )
            directory = facts["mod_wsgi"].removesuffix("/site-packages/mod_wsgi/__init__.py")
            self.assertEqual(server.stop(), 0)
            self.assertHealthy(server)
        self.assertTrue(support.wait_until(lambda: not os.path.exists(directory), 10), directory)


class TestRefusals(ExpressCase):
    """What would hang or fail in words about something else is said before anything starts."""

    def refused(self, command, **options):
        done = support.run(command, env=web.environment(), **options)
        self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
        return done.stderr

    def test_working_directory_the_workers_may_not_enter(self):
        private = support.unique_dir(mode=0o700)
        options = [
            *web.OPTIONS,
            *web.AS_WWW_DATA,
            "--port",
            str(web.free_port()),
            "--server-root",
            support.unique_dir() / "root",
        ]
        script = web.wsgi_script(support.unique_dir())
        for command in (
            [web.express(self), "start-server", *options, script],
            [web.hello_function(self), *options],
        ):
            self.assertOneLine(
                self.refused(command, cwd=private),
                f"'www-data' may not enter the working directory '{private}'",
                "--working-directory /",
            )

    def test_missing_libpython(self):
        hide = (
            "for f in /usr/lib/*/libpython3*.so.1.0; do mount --bind /dev/null $f; done; exec "
            '"$0" "$@"'
        )
        command = [
            "unshare",
            "-m",
            "sh",
            "-c",
            hide,
            web.express(self),
            "start-server",
            *web.OPTIONS,
            *web.AS_WWW_DATA,
            web.wsgi_script(support.unique_dir()),
        ]
        self.assertOneLine(self.refused(command), "mod_wsgi needs libpython3.", "--bundle-python")


class TestStartFunction(ExpressCase):
    """mod_wsgi.server.start(), called by the bundle's own entry."""

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

    def test_everything_comes_from_the_mount(self):
        root = "/run/haft/hello/site-packages/"
        with self.clean(), self.start() as server:
            self.assertEqual(server.get("/").json()["file"], root + "hello_site/wsgi.py")
            self.assertEqual(server.get("/lazy/3").json(), root + "hello_lazy/m3.py")
            self.assertEqual(server.get("/data").json(), "package data")
            self.assertEqual(server.get("/spawn").json(), [root + "hello_site/__init__.py"] * 2)
            self.assertEqual(server.stop(), 0)
            self.assertHealthy(server)

    def test_environment_reaches_the_worker(self):
        other = support.unique_dir()
        env = web.environment(PYTHONPATH=str(other), FOO_BAR="kept")
        with self.clean(), self.start(env=env) as server:
            facts = server.get("/").json()
        site_packages = "/run/haft/hello/site-packages"
        self.assertEqual(facts["environ"]["FOO_BAR"], "kept")
        self.assertIn(site_packages, facts["path"])
        self.assertIn(str(other), facts["path"])
        self.assertLess(facts["path"].index(site_packages), facts["path"].index(str(other)))
        self.assertEqual(
            [name for name in facts["environ"] if name.startswith("HAFT")], ["HAFT_BUNDLE"]
        )

    def test_service_script(self):
        out = support.unique_dir(mode=0o777) / "out"
        script = support.unique_dir() / "service.py"
        script.write_text(
            f"import json, os, sys, hello_site, hello_lazy.m7\n"
            f"with open({str(out) + '.new'!r}, 'w') as file:\n"
            f"    json.dump([os.getuid(), hello_lazy.m7.__file__], file)\n"
            f"os.rename({str(out) + '.new'!r}, {str(out)!r})\n"
            f"import time; time.sleep(60)\n"
        )
        with self.clean(), self.start("--service-script", "svc", script) as server:
            support.wait_until(out.exists, 10)
            self.assertEqual(
                out.read_text(),
                f'[{web.WWW_DATA}, "/run/haft/hello/site-packages/hello_lazy/m7.py"]',
            )
            self.assertHealthy(server)

    def test_root_of_a_directory_nobody_else_may_enter(self):
        """cwd 0700: with --working-directory / as mod_wsgi demands."""
        private = support.unique_dir(mode=0o700)
        with self.clean(), self.start("--working-directory", "/", cwd=private) as server:
            self.assertEqual(server.get("/").json()["cwd"], "/")

    def test_ordinary_user(self):
        with self.clean(), web.Server(
            [web.hello(self), *web.OPTIONS, "--port", "{port}", "--server-root", "{dir}/root"],
            mode="userns",
        ) as server:
            facts = server.get("/").json()
            self.assertEqual(facts["uid"], support.user_in("userns").uid)
            self.assertEqual(
                server.get("/lazy/9").json(), "/run/haft/hello/site-packages/hello_lazy/m9.py"
            )
            mounts = [
                line for line in support.mount_table(facts["pid"]) if " /run/haft/hello " in line
            ]
            self.assertEqual(server.stop(signal.SIGINT), 0)
            self.assertNotIn("allow_other", server.log())
        self.assertEqual(len(mounts), 1)
        self.assertNotIn("allow_other", mounts[0])

    def test_two_instances_do_not_meet(self):
        with self.clean(), self.start() as one, self.start() as other, TestStartServer.start(
            self
        ) as another_bundle:
            self.assertEqual(one.stop(), 0)
            self.assertEqual(
                another_bundle.get("/").json()["mod_wsgi"],
                "/run/haft/express/site-packages/mod_wsgi/__init__.py",
            )
            self.assertEqual(
                other.get("/lazy/1").json(), "/run/haft/hello/site-packages/hello_lazy/m1.py"
            )
            self.assertEqual(other.stop(), 0)
            # The host has an empty directory there, until the bundle's last process ends.
            self.assertEqual(os.listdir("/run/haft/express"), [])
