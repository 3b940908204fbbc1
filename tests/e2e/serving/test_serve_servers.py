"""Bundles that serve with gunicorn, uvicorn and waitress, and applications of frameworks."""

import os
import signal
import socket
import unittest

import support
from support import trees, web
from support.shop import IS_ROOT, LAZY, SiteCase, served_by, shop, small_site, user_options

SECONDS = 25


class TestServers(SiteCase):
    @support.parametrised(server=["gunicorn", "uvicorn", "waitress"])
    def test_serves(self, server, mode):
        with self.clean(), self.start(shop(server), *user_options(mode), mode=mode) as running:
            facts = running.get("/").json()
            self.assertEqual(facts["uid"], served_by(mode))
            self.assertEqual(facts["file"], "/run/haft/shop/site-packages/hello_site/wsgi.py")
            self.assertIn(running.pid, (facts["pid"], facts["ppid"]))
            self.assertEqual(running.get("/lazy/1").json(), LAZY.format(1))
            self.assertEqual(running.stop(), 0)

    @support.parametrised(server=["gunicorn", "uvicorn", "waitress"])
    def test_TERM_answers_the_request_in_flight(self, server):
        self.in_flight(signal.SIGTERM, answered=True, bundle=shop(server))

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
            self.assertEqual(facts["file"], "/run/haft/shop/site-packages/hello_site/wsgi.py")
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
            self.assertEqual(server.get("/").body, b"/run/haft/shop/site-packages/shop.py")
            self.assertEqual(server.stop(), 0)
        self.refused(
            "httpd: cannot serve an ASGI application", bundle=bundle, options=["--server", "httpd"]
        )

    @unittest.skipUnless(IS_ROOT, "needs root")
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
        if IS_ROOT:
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
            "/static/admin=/run/haft/shop/site-packages/django/contrib/admin/static/admin",
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
            self.assertEqual(
                running.get("/").body, b"/run/haft/board/site-packages/flask/__init__.py"
            )
            self.assertEqual(running.stop(), 0)


class TestVariables(support.TestCase):
    def test_HTTPD_does_not_replace_a_bundled_httpd(self):
        """mod_wsgi-express would start the program that HTTPD names."""
        code = {"main.py": "import os\nprint(os.environ.get('HTTPD'))\n"}
        plain = small_site("plain", code, "-m", "main")
        own = small_site("own", {**code, "mod_wsgi_packages/httpd/__init__.py": ""}, "-m", "main")
        env = support.clean_env(HTTPD="/bin/false")
        self.assertEqual(support.run([plain], env=env, check=True).stdout, "/bin/false\n")
        self.assertEqual(support.run([own], env=env, check=True).stdout, "None\n")
