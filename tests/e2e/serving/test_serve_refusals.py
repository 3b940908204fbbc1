"""What a bundle that serves refuses, and what haft build --wsgi does: each in one line, before a
server starts."""

import pathlib
import unittest

import support
from support import web
from support.shop import IS_ROOT, MOD_WSGI, SiteCase, shop

SECONDS = 10


@unittest.skipUnless(IS_ROOT, "needs root")
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
            support.info(shop("uvicorn"))["web_application"],
            {
                "interface": "wsgi",
                "application": "hello_site.wsgi:application",
                "server": "uvicorn",
            },
        )

    def test_help_shows_an_example(self):
        done = support.run([shop(), "--help"], check=True)
        self.assertIn("example:\n  shop --port 8080", done.stdout)
