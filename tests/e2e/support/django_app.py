"""A Django project as a site: its files, its bundles, its database."""

import hashlib
import os
import shutil

from support import mod_wsgi, paths, running, trees, web

SETTINGS = """\
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions",
                  "django.contrib.messages", "django.contrib.staticfiles"]
try:
    import mod_wsgi.server
    INSTALLED_APPS.append("mod_wsgi.server")
except ImportError:
    pass
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
              "django.middleware.csrf.CsrfViewMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
ROOT_URLCONF = "mysite.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}]
WSGI_APPLICATION = "mysite.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3",
    "NAME": os.environ.get("MYSITE_DB", ":memory:")}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
STATIC_URL = "/static/"
STATIC_ROOT = str(Path(__file__).resolve().parent / "static")
"""

FILES = {
    "mysite/__init__.py": "",
    "mysite/settings.py": SETTINGS,
    "mysite/urls.py": """\
from django.contrib import admin
from django.http import JsonResponse
from django.urls import path
import django, os, sys

def where(request):
    return JsonResponse({"django": django.__file__, "uid": os.getuid(), "pid": os.getpid(),
        "prefix": sys.prefix})

urlpatterns = [path("admin/", admin.site.urls), path("", where)]
""",
    "mysite/wsgi.py": """\
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
    "mysite/__main__.py": """\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
}

BIG = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(12 * 1024 * 1024 // 32))


def django_tree():
    return trees.portable_tree("python3-django")


def project_tree():
    """The project with its static files collected and a file of 12 MiB among them."""
    with trees.made_once("mysite-tree") as path:
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
    return trees.cached_bundle(
        "mysite", ("-m", "mysite"), lambda: [tree, django_tree(), project_tree()]
    )


def whole_site():
    """The project with httpd, Python and Debian's mod_wsgi inside."""
    return trees.cached_bundle(
        "whole",
        ("--wsgi", "mysite.wsgi", "--bundle-httpd"),
        lambda: [django_tree(), project_tree()],
    )


def new_database(bundle, *command):
    """A migrated database with a user `admin`, for www-data."""
    directory = paths.unique_dir("database", mode=0o777)
    path = directory / "db.sqlite3"
    env = web.environment(MYSITE_DB=str(path), DJANGO_SUPERUSER_PASSWORD="secret")
    running.run([bundle, *command, "migrate", "-v", "0"], env=env, check=True)
    running.run(
        [
            bundle,
            *command,
            "createsuperuser",
            "--noinput",
            "--username",
            "admin",
            "--email",
            "a@example.org",
        ],
        env=env,
        check=True,
    )
    os.chmod(path, 0o666)
    return path
