"""A Django site in one file: manage.py commands, runmodwsgi, static files, httpd and Python inside."""

import hashlib
import os
import re
import shutil

import support
from support import mod_wsgi, trees, web

SECONDS = 90

SETTINGS = '''\
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                  "django.contrib.messages", "django.contrib.staticfiles"]
try:
    import mod_wsgi.server
    INSTALLED_APPS.append("mod_wsgi.server")
except ImportError:
    pass
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
              "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}]
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("MYSITE_DB", ":memory:")}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
STATIC_URL = "/static/"
STATIC_ROOT = str(Path(__file__).resolve().parent / "static")
'''

FILES = {
    "mysite/__init__.py": "",
    "mysite/settings.py": SETTINGS,
    "mysite/urls.py": '''\
from django.contrib import admin
from django.http import JsonResponse
from django.urls import path
import django, os, sys

def where(request):
    return JsonResponse({"django": django.__file__, "uid": os.getuid(), "pid": os.getpid(), "prefix": sys.prefix})

urlpatterns = [path("admin/", admin.site.urls), path("", where)]
''',
    "mysite/wsgi.py": '''\
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
''',
    "mysite/__main__.py": '''\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
''',
}

# Data of the host, and what its nsswitch.conf names beyond files and dns.
ALLOWED = re.compile(r"/locale/|gconv|/libnss_systemd|/libcap\.")

BIG = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(12 * 1024 * 1024 // 32))


def django_tree():
    return support.portable_tree("python3-django")


def project_tree():
    """The project with its static files collected and a file of 12 MiB among them."""
    with trees._once("mysite-tree") as path:
        if not path.exists():
            new = trees.write_tree(path.with_suffix(".new"), FILES)
            admin = django_tree() / "django" / "contrib" / "admin" / "static" / "admin"
            shutil.copytree(admin, new / "mysite" / "static" / "admin")
            (new / "mysite" / "static" / "big.bin").write_bytes(BIG)
            new.rename(path)
        return path


def mysite(case):
    """The project with mod_wsgi."""
    tree = mod_wsgi.require_express(case)
    return trees._cached("mysite", ("-m", "mysite"), lambda: [tree, django_tree(), project_tree()])


def whole_site():
    """The project with httpd, Python and Debian's mod_wsgi inside."""
    return trees._cached("whole", ("--wsgi", "mysite.wsgi", "--bundle-httpd"), lambda: [django_tree(), project_tree()])


def new_database(bundle, *command):
    """A migrated database with a user `admin`, for www-data."""
    directory = support.unique_dir("database", mode=0o777)
    path = directory / "db.sqlite3"
    env = web.environment(MYSITE_DB=str(path), DJANGO_SUPERUSER_PASSWORD="secret")
    support.run([bundle, *command, "migrate", "-v", "0"], env=env, check=True)
    support.run([bundle, *command, "createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org"], env=env, check=True)
    os.chmod(path, 0o666)
    return path


class SiteCase(support.TestCase):
    def check_site(self, server, mount):
        self.assertEqual(server.get("/").json()["django"], f"{mount}/site-packages/django/__init__.py")
        page = server.get("/admin/login/")
        self.assertEqual(page.status, 200)
        self.assertIn(b"csrfmiddlewaretoken", page.body)
        css = server.get("/static/admin/css/base.css")
        self.assertEqual((css.status, css.headers["Content-Type"], len(css.body)),
                         (200, "text/css", (django_tree() / "django/contrib/admin/static/admin/css/base.css").stat().st_size))
        self.assertTrue(server.get("/static/big.bin").body == BIG)
        part = server.get("/static/big.bin", headers={"Range": "bytes=1000000-1000099"})
        self.assertEqual((part.status, part.body), (206, BIG[1000000:1000100]))
        return page

    def log_in(self, server, page):
        token = re.search(rb'csrfmiddlewaretoken" value="(\w+)"', page.body)[1].decode()
        cookie = page.headers["Set-Cookie"].split(";")[0]
        answer = server.get("/admin/login/?next=/admin/", method="POST",
                            body=f"username=admin&password=secret&next=/admin/&csrfmiddlewaretoken={token}",
                            headers={"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded",
                                     "Referer": f"http://127.0.0.1:{server.port}/admin/login/"})
        self.assertEqual((answer.status, answer.headers["Location"]), (302, "/admin/"), answer.body[:500])


class TestRunmodwsgi(SiteCase):
    seconds = 120

    def test_manage_commands(self):
        bundle = mysite(self)
        database = new_database(bundle)
        env = web.environment(MYSITE_DB=str(database))
        self.assertEqual(support.run([bundle, "check"], env=env).returncode, 0)
        self.assertEqual(support.run([bundle, "no-such-command"], env=env).returncode, 1)
        done = support.run([bundle, "shell"], env=env, input="from django.contrib.auth.models import User\nprint(User.objects.count())\n")
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"))

    @support.parametrised(option=["", "--enable-sendfile"])
    def test_site(self, option):
        bundle = mysite(self)
        env = web.environment(MYSITE_DB=str(new_database(bundle)))
        command = [bundle, "runmodwsgi", *web.OPTIONS, *web.AS_WWW_DATA, "--port", "{port}", "--server-root", "{dir}/root", *option.split()]
        with self.clean(), web.Server(command, env=env) as server:
            page = self.check_site(server, "/haft/mysite")
            self.log_in(server, page)
            self.assertEqual(server.stop(), 0)
            self.assertNotIn("Traceback", server.log())


class TestWholeStack(SiteCase):
    """--bundle-httpd on this host, where Apache is hidden."""

    seconds = 180

    def test_site(self, mode):
        bundle = whole_site()
        hide = 'for d in /usr/sbin /usr/lib/apache2 /usr/lib/python3.11; do mount -t tmpfs none $d; done; exec "$0" "$@"'
        user = ["--user", "www-data"] if mode == "namespace" else []
        command = [bundle, "--port", "{port}", "--static", "/static=mysite:static", *user]
        if mode == "userns":
            command = support.as_user(command)
        env = web.environment(HTTPD="/bin/false")
        with web.Server(["unshare", "-m", "sh", "-c", hide, *command], env=env, seconds=60) as server:
            self.check_site(server, "/haft/whole")
            self.assertEqual(server.get("/").json()["prefix"], "/haft/whole/usr")
            for pid in [server.pid, *server.children()]:
                with open(f"/proc/{pid}/maps") as file:
                    maps = {line.split(None, 5)[5].strip() for line in file if len(line.split()) > 5}
                foreign = {path for path in maps if path.startswith("/usr") or path.startswith("/lib")}
                self.assertEqual({path for path in foreign if not ALLOWED.search(path)}, set())
                self.assertIn("/haft/whole/usr/lib/libc.so.6", maps)
            before = server.get("/").json()["pid"]
            os.kill(server.pid, 10)
            self.assertTrue(support.wait_until(lambda: server.answers() and server.get("/").json()["pid"] != before, 20))
            self.assertEqual(server.stop(), 0)
