"""A Django site in one file: manage.py commands, runmodwsgi, static files, httpd and Python
inside."""

import os
import re

import support
from support import django_app, web
from support import root as roots

SECONDS = 90

# Data of the host, and what its nsswitch.conf names beyond files and dns.
ALLOWED = re.compile(r"/locale/|gconv|/libnss_systemd|/libcap\.")


class SiteCase(support.TestCase):
    def check_site(self, server, mount):
        self.assertEqual(
            server.get("/").json()["django"], f"{mount}/site-packages/django/__init__.py"
        )
        page = server.get("/admin/login/")
        self.assertEqual(page.status, 200)
        self.assertIn(b"csrfmiddlewaretoken", page.body)
        css = server.get("/static/admin/css/base.css")
        self.assertEqual(
            (css.status, css.headers["Content-Type"], len(css.body)),
            (
                200,
                "text/css",
                (django_app.django_tree() / "django/contrib/admin/static/admin/css/base.css")
                .stat()
                .st_size,
            ),
        )
        self.assertTrue(server.get("/static/big.bin").body == django_app.BIG)
        part = server.get("/static/big.bin", headers={"Range": "bytes=1000000-1000099"})
        self.assertEqual((part.status, part.body), (206, django_app.BIG[1000000:1000100]))
        return page

    def log_in(self, server, page):
        token = re.search(rb'csrfmiddlewaretoken" value="(\w+)"', page.body)[1].decode()
        cookie = page.headers["Set-Cookie"].split(";")[0]
        answer = server.get(
            "/admin/login/?next=/admin/",
            method="POST",
            body=f"username=admin&password=secret&next=/admin/&csrfmiddlewaretoken={token}",
            headers={
                "Cookie": cookie,
                "Content-Type": "application/x-www-form-urlencoded",
                "Referer": f"http://127.0.0.1:{server.port}/admin/login/",
            },
        )
        self.assertEqual(
            (answer.status, answer.headers["Location"]), (302, "/admin/"), answer.body[:500]
        )


class TestRunmodwsgi(SiteCase):
    seconds = 120

    def test_manage_commands(self):
        bundle = django_app.mysite(self)
        database = django_app.new_database(bundle)
        env = web.environment(MYSITE_DB=str(database))
        self.assertEqual(support.run([bundle, "check"], env=env).returncode, 0)
        self.assertEqual(support.run([bundle, "no-such-command"], env=env).returncode, 1)
        done = support.run(
            [bundle, "shell"],
            env=env,
            input="from django.contrib.auth.models import User\nprint(User.objects.count())\n",
        )
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"))

    @support.parametrised(option=["", "--enable-sendfile"])
    def test_web_application(self, option):
        bundle = django_app.mysite(self)
        env = web.environment(MYSITE_DB=str(django_app.new_database(bundle)))
        command = [
            bundle,
            "runmodwsgi",
            *web.OPTIONS,
            *web.AS_WWW_DATA,
            "--port",
            "{port}",
            "--server-root",
            "{dir}/root",
            *option.split(),
        ]
        with self.clean(), web.Server(command, env=env) as server:
            page = self.check_site(server, "/run/haft/mysite")
            self.log_in(server, page)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log())


class TestWholeStack(SiteCase):
    """--bundle-httpd on this host, where Apache is hidden."""

    seconds = 180

    def test_web_application(self, mode):
        bundle = django_app.whole_site()
        hide = (
            "for d in /usr/sbin /usr/lib/apache2 /usr/lib/python3.11; do mount -t tmpfs none "
            '$d; done; exec "$0" "$@"'
        )
        user = ["--user", "www-data"] if mode == "namespace" else []
        command = [bundle, "--port", "{port}", "--static", "/static=mysite:static", *user]
        if mode == "userns":
            command = support.in_mode(command, mode)
        env = web.environment(HTTPD="/bin/false")
        with web.Server(
            ["unshare", "-m", "sh", "-c", hide, *command], env=env, seconds=60
        ) as server:
            self.check_site(server, "/run/haft/whole")
            self.assertEqual(server.get("/").json()["prefix"], "/run/haft/whole/usr")
            for pid in [server.pid, *server.children()]:
                with open(f"/proc/{pid}/maps") as file:
                    maps = {
                        line.split(None, 5)[5].strip() for line in file if len(line.split()) > 5
                    }
                foreign = {path for path in maps if path.startswith(("/usr", "/lib"))}
                self.assertEqual({path for path in foreign if not ALLOWED.search(path)}, set())
                self.assertIn("/run/haft/whole/usr/lib/libc.so.6", maps)
            before = server.get("/").json()["pid"]
            os.kill(server.pid, 10)
            self.assertTrue(support.wait_until(lambda: server.replaced(before), 20))
            self.assertEqual(server.stop(), 0)

    @support.parametrised(user=[support.ROOT, support.PERSON])
    def test_busybox_root(self, user):
        """A root file system with busybox and nothing else; every process maps files of the mount
        alone."""
        root = roots.busybox_root()
        (program,) = roots.put(root, django_app.whole_site())
        command = [
            program,
            "--port",
            "{port}",
            "--static",
            "/static=mysite:static",
            *(["--user", "www-data"] if user.uid == 0 else []),
        ]
        with web.Server(
            command, session=False, preexec_fn=roots.enter(root, user, session=True), seconds=60
        ) as server:
            self.check_site(server, "/run/haft/whole")
            processes = roots.session(server.pid)
            self.assertGreaterEqual(len(processes), 3)
            for pid in processes:
                self.assertEqual(roots.foreign_maps(pid, "/run/haft/whole"), set())
            self.assertEqual(server.stop(), 0)
