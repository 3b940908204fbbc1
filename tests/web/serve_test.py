"""The Python side of bundles that serve: command line, httpd.conf, checks. usage: serve_test.py
DIRECTORY_OF_SERVE"""

import contextlib
import io
import os
import pathlib
import shutil
import struct
import sys
import tempfile
import types
import unittest
from unittest import mock

SERVE = os.path.abspath(sys.argv[1])
sys.dont_write_bytecode = True
sys.path[:0] = [SERVE, os.path.abspath(sys.argv[2])]
bundle = types.ModuleType("_haft_bundle")
bundle.NAME = "shop"
bundle.WEB = ("wsgi", "shop.wsgi:application", "httpd")
sys.modules["_haft_bundle"] = bundle

import _haft_checks  # noqa: E402
import _haft_common  # noqa: E402
import _haft_httpd_config  # noqa: E402
import _haft_identity  # noqa: E402
import _haft_servers  # noqa: E402
import _haft_web  # noqa: E402
from _haft_common import Refusal  # noqa: E402

HTTPD = types.SimpleNamespace(
    executable="/usr/sbin/apache2", modules="/nowhere", mod_wsgi="/m/mod_wsgi.so", libpython=None
)
NOBODY = types.SimpleNamespace(changes=True, user="www-data", uid=33, gid=33)
OURSELVES = types.SimpleNamespace(changes=False, user=None, uid=os.geteuid(), gid=os.getegid())


def configuration(*arguments, identity=OURSELVES, httpd=HTTPD):
    return _haft_httpd_config.configuration(
        _haft_web.parse(arguments), httpd, identity, "/run/haft/NAME/.haft/run"
    )


def lines(*arguments, **settings):
    return [line.strip() for line in configuration(*arguments, **settings).splitlines()]


class CommandLineTest(unittest.TestCase):
    def refusal(self, *arguments):
        with self.assertRaises(Refusal) as caught:
            _haft_web.parse(arguments)
        text = str(caught.exception)
        self.assertNotIn("\n", text)
        return text

    def test_defaults(self):
        options = _haft_web.parse([])
        self.assertEqual(
            (options.host, options.port, options.processes, options.threads),
            ("127.0.0.1", 8000, None, None),
        )
        self.assertEqual(
            (options.name, options.server, options.interface), ("shop", "httpd", "wsgi")
        )
        self.assertEqual(
            (options.access_log, options.static, options.working_directory), (None, [], os.getcwd())
        )

    def test_relative_paths_mean_the_current_directory(self):
        options = _haft_web.parse(
            ["--error-log", "e.log", "--access-log", "a.log", "--working-directory", "../x"]
        )
        self.assertEqual(options.error_log, os.path.abspath("e.log"))
        self.assertEqual(options.access_log, os.path.abspath("a.log"))
        self.assertEqual(options.working_directory, os.path.abspath("../x"))
        self.assertEqual(_haft_web.parse(["--access-log"]).access_log, "-")
        self.assertEqual(_haft_web.parse(["--access-log", "-"]).access_log, "-")

    def test_numbers(self):
        for value in (
            "",
            "x",
            "0",
            "65536",
            "-1",
            "1.5",
            "80 ",
            "٣",
            "1e3",
            "99999999999999999999",
        ):
            with self.subTest(value):
                self.assertIn("is not a number from 1 to 65535", self.refusal(f"--port={value}"))
        self.assertIn("from 1 to 1000", self.refusal("--processes", "0"))
        self.assertIn("from 1 to 10000", self.refusal("--threads", "many"))

    def test_hosts(self):
        self.assertEqual(_haft_web.parse(["--host", "[::1]"]).host, "::1")
        self.assertEqual(_haft_web.parse(["--host", "a.example"]).host, "a.example")
        for value in ("", "a b", 'a"', "a\nListen 1", "*", "a/b", "$HOST", "[]"):
            with self.subTest(value):
                self.assertIn("neither an address nor a host name", self.refusal("--host", value))

    def test_static(self):
        directory = os.path.dirname(os.path.abspath(__file__))
        self.assertEqual(
            _haft_web.parse(["--static", f"/a/b/={directory}"]).static, [("/a/b", directory)]
        )
        self.assertIn("is not there", self.refusal("--static", "/a=/does/not/exist"))
        for value in ("", "a", "/a", "a=/tmp", "/=/tmp", "//=/tmp", "/a=", "=/tmp"):
            with self.subTest(value):
                self.assertRegex(self.refusal("--static", value), "is not URL=DIR|it is empty")
        for url in ("/a b", '/a"', "/../etc", "/a/./b", "/a//b", "/ä", "/a%2f", "/$x", "/a*"):
            with self.subTest(url):
                self.assertIn("argument --static", self.refusal("--static", f"{url}=/tmp"))

    def test_control_characters(self):
        for option in (
            "--user",
            "--group",
            "--working-directory",
            "--error-log",
            "--include-file",
            "--static",
        ):
            for value in ("a\nb", "a\rb", "a\x7f", "\x1b[0m"):
                with self.subTest(option, value=value):
                    self.assertIn("has a control character", self.refusal(option, value))

    def test_unknown_options_and_abbreviations(self):
        self.assertIn("--bogus", self.refusal("--bogus"))
        self.assertIn("--proc", self.refusal("--proc", "2"))
        self.assertIn("extra", self.refusal("extra"))
        self.assertIn("invalid choice: 'nginx'", self.refusal("--server", "nginx"))

    def test_asgi_needs_uvicorn(self):
        bundle.WEB = ("asgi", "shop.asgi:application", "uvicorn")
        self.addCleanup(setattr, bundle, "WEB", ("wsgi", "shop.wsgi:application", "httpd"))
        self.assertEqual(_haft_web.parse([]).interface, "asgi")
        self.assertEqual(
            self.refusal("--server", "httpd"),
            "httpd: cannot serve an ASGI application; use --server uvicorn",
        )

    def test_help_shows_an_example(self):
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), self.assertRaises(SystemExit) as ended:
            _haft_web.parse(["--help"])
        self.assertEqual(ended.exception.code, 0)
        self.assertIn("example:\n  shop --port 8080", shown.getvalue())


class ConfigurationTest(unittest.TestCase):
    def test_listens(self):
        self.assertIn("Listen 127.0.0.1:8080", lines("--port", "8080"))
        self.assertIn("Listen [::1]:8000", lines("--host", "::1"))

    def test_daemon_process(self):
        daemon = next(line for line in lines() if line.startswith("WSGIDaemonProcess"))
        self.assertIn("WSGIDaemonProcess shop threads=15 ", daemon)
        self.assertNotIn("processes=", daemon)
        self.assertIn(f' home="{os.getcwd()}"', daemon)
        daemon = next(
            line
            for line in lines("--processes", "4", "--threads", "2", "--request-timeout", "90")
            if line.startswith("WSGIDaemonProcess")
        )
        self.assertIn(" threads=2 processes=4 ", daemon)
        self.assertIn(" request-timeout=90", daemon)
        self.assertIn("Timeout 90", lines("--request-timeout", "90"))

    def test_room_for_twice_as_many_connections_as_threads(self):
        for arguments, children in (
            ((), 2),
            (("--threads", "1"), 1),
            (("--processes", "10", "--threads", "25"), 20),
        ):
            text = lines(*arguments)
            self.assertIn(f"ServerLimit {children}", text)
            self.assertIn(f"MaxRequestWorkers {25 * children}", text)

    def test_locale_is_never_plain_C(self):
        saved = {name: os.environ.pop(name, None) for name in ("LC_ALL", "LC_CTYPE", "LANG")}
        try:
            for variables, expected in (
                ({}, "C.UTF-8"),
                ({"LANG": "C"}, "C.UTF-8"),
                ({"LC_ALL": "POSIX"}, "C.UTF-8"),
                ({"LANG": "de_DE.UTF-8"}, "de_DE.UTF-8"),
                ({"LANG": "de_DE.UTF-8", "LC_ALL": ""}, "de_DE.UTF-8"),
            ):
                os.environ.update(variables)
                self.assertIn(f'locale="{expected}"', configuration())
                for name in variables:
                    del os.environ[name]
        finally:
            os.environ.update({name: value for name, value in saved.items() if value is not None})

    def test_user_only_for_root(self):
        self.assertFalse([line for line in lines() if line.startswith(("User", "Group"))])
        text = lines(identity=NOBODY)
        self.assertIn('User "www-data"', text)
        self.assertIn('Group "#33"', text)

    def test_static_the_longest_url_first(self):
        with tempfile.TemporaryDirectory() as directory:
            text = lines("--static", f"/a={directory}", "--static", f"/a/b={directory}")
            aliases = [line.split()[1] for line in text if line.startswith("Alias")]
            self.assertEqual(aliases, ['"/a/b"', '"/a"'])
            self.assertEqual(text.count(f'<Directory "{directory}">'), 2)

    def test_a_single_file(self):
        text = configuration("--static", f"/robots.txt={__file__}")
        self.assertIn(f'Alias "/robots.txt" "{os.path.abspath(__file__)}"', text)
        self.assertIn('<Files "serve_test.py">', text)

    def test_every_directory_is_denied_but_what_is_served(self):
        text = configuration()
        self.assertIn(
            "<Directory />\n  AllowOverride None\n  Require all denied\n</Directory>", text
        )

    def test_names_are_quoted(self):
        for name in (
            "a b",
            'q"uote',
            "it's",
            "%{GLOBAL} %h",
            "$HOME",
            "#hash",
            "<angle>",
            "ü",
            "|pipe",
            "end\\",
            "b\\n",
        ):
            with self.subTest(name):
                word = _haft_httpd_config.quoted("/x/" + name)
                self.assertEqual(_unquoted(word), "/x/" + name)
                log = next(
                    line
                    for line in lines("--error-log", "/x/" + name)
                    if line.startswith("ErrorLog ")
                )
                self.assertEqual(_unquoted(log[len("ErrorLog ") :]), "/x/" + name)

    def test_names_that_cannot_be_quoted_are_refused(self):
        for name in ("a\nb", "${HOME}", "x${A", "\t"):
            with self.subTest(name), self.assertRaises(Refusal):
                _haft_httpd_config.quoted(name)
        for name in ("/x/back\\slash", "/x/both\"'", "/x/${HOME}"):
            with self.subTest(name), self.assertRaises(Refusal):
                configuration("--working-directory", name)

    def test_patterns_are_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            for name in ("star*", "what?", "[x]"):
                path = os.path.join(directory, name)
                os.mkdir(path)
                with self.subTest(name), self.assertRaisesRegex(Refusal, "for a pattern"):
                    configuration("--static", f"/s={path}")
                pathlib.Path(path, "x.conf").touch()
                with self.subTest(name), self.assertRaisesRegex(Refusal, "for a pattern"):
                    configuration("--include-file", f"{path}/x.conf")

    def test_included_file_comes_last(self):
        self.assertEqual(
            lines("--include-file", __file__)[-1], f'Include "{os.path.abspath(__file__)}"'
        )

    def test_mod_wsgi_and_the_library_it_needs(self):
        text = lines(
            httpd=types.SimpleNamespace(**{**vars(HTTPD), "libpython": "/m/libpython3.11.so.1.0"})
        )
        at = text.index('LoadFile "/m/libpython3.11.so.1.0"')
        self.assertEqual(text[at + 1], 'LoadModule wsgi_module "/m/mod_wsgi.so"')


def _unquoted(word):
    """What httpd makes of a word in double quotes."""
    assert word[0] == '"' == word[-1], word
    result, rest = "", word[1:-1]
    while rest:
        if rest[0] == "\\" and rest[1:2] in ("\\", '"'):
            rest = rest[1:]
        else:
            assert rest[0] != '"', word
        result, rest = result + rest[0], rest[1:]
    return result


class ScriptTest(unittest.TestCase):
    def script(self, application, directory="/srv/it's here"):
        options = types.SimpleNamespace(
            name="shop", application=application, working_directory=directory
        )
        return _haft_httpd_config.application_script(options)

    def run_script(self, application, path):
        module = types.ModuleType("shop_wsgi")
        module.inner = types.SimpleNamespace(app="the application")
        module.create = lambda: "made"
        module.application = "plain"
        sys.modules["shop_wsgi"] = module
        self.addCleanup(sys.modules.pop, "shop_wsgi", None)
        saved, sys.path = sys.path, list(path)
        try:
            space = {}
            exec(self.script(application), space)
            return space["application"], sys.path
        finally:
            sys.path = saved

    def test_finds_the_application(self):
        for application, expected in (
            ("shop_wsgi:application", "plain"),
            ("shop_wsgi:inner.app", "the application"),
            ("shop_wsgi:create()", "made"),
            ("shop_wsgi", "plain"),
        ):
            with self.subTest(application):
                self.assertEqual(self.run_script(application, [])[0], expected)

    def test_takes_the_working_directory_off_the_path(self):
        self.assertEqual(self.run_script("shop_wsgi", ["/srv/it's here", "/a"])[1], ["/a"])
        self.assertEqual(
            self.run_script("shop_wsgi", ["/a", "/srv/it's here"])[1], ["/a", "/srv/it's here"]
        )

    def test_load_application(self):
        sys.modules["shop_wsgi"] = types.SimpleNamespace(
            create=lambda: "made", a=types.SimpleNamespace(b=7)
        )
        self.addCleanup(sys.modules.pop, "shop_wsgi", None)
        self.assertEqual(_haft_common.load_application("shop_wsgi:create()"), "made")
        self.assertEqual(_haft_common.load_application("shop_wsgi:a.b"), 7)


class ServersTest(unittest.TestCase):
    def test_what_a_server_cannot_do_is_refused_by_name(self):
        for server, option in (
            ("uvicorn", "--threads"),
            ("uvicorn", "--request-timeout"),
            ("waitress", "--processes"),
            ("waitress", "--request-timeout"),
            ("gunicorn", "--server-name"),
            ("gunicorn", "--mod-wsgi"),
        ):
            value = {"--server-name": "x", "--mod-wsgi": __file__}.get(option, "2")
            options = _haft_web.parse(["--server", server, option, value])
            with self.subTest(server, option=option), self.assertRaisesRegex(
                Refusal, f"^{option}: {server} "
            ):
                _haft_servers._refuse_unsupported(options)

    def test_one_process_is_what_waitress_has(self):
        _haft_servers._refuse_unsupported(
            _haft_web.parse(["--server", "waitress", "--processes", "1"])
        )

    def test_a_missing_server(self):
        with self.assertRaisesRegex(
            Refusal, "^nothing_like_it: neither in the bundle nor on this host"
        ):
            _haft_servers._import("nothing_like_it")


class IdentityTest(unittest.TestCase):
    def test_unknown_names(self):
        for name in ("no such user", "4294967295", "-1", "#", "99999999999999999999"):
            with self.subTest(name), self.assertRaisesRegex(Refusal, "there is no such user"):
                _haft_identity.Identity(name, None)
        with self.assertRaisesRegex(Refusal, "there is no such group"):
            _haft_identity.Identity(None, "no such group")

    def test_ourselves(self):
        self.assertFalse(_haft_identity.Identity(None, None).changes)
        self.assertFalse(_haft_identity.Identity(str(os.geteuid()), None).changes)

    def test_first_problem(self):
        identity = _haft_identity.Identity(None, None)
        self.assertIsNone(identity.first_problem([lambda: None, lambda: None]))
        self.assertEqual(
            identity.first_problem([lambda: None, lambda: "bad", lambda: "worse"]), "bad"
        )

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_checks_run_as_the_other_user(self):
        identity = _haft_identity.Identity("nobody", None)
        self.assertTrue(identity.changes)
        self.assertEqual(
            identity.first_problem([lambda: f"{os.getuid()} {os.getgroups()} ü"]), "65534 [65534] ü"
        )
        self.assertIsNone(identity.first_problem([lambda: None]))
        self.assertEqual(os.geteuid(), 0)


class ElfTest(unittest.TestCase):
    def test_needed_libraries_of_this_python(self):
        needed = _haft_checks.needed_libraries(sys.executable)
        self.assertIn("libc.so.6", needed)
        self.assertTrue(
            _haft_checks.find_library("libc.so.6", getattr(sys.implementation, "_multiarch", ""))
        )

    def test_library_that_is_not_there(self):
        self.assertIsNone(_haft_checks.find_library("libpython9.99.so.1.0", "x86_64-linux-gnu"))
        with tempfile.TemporaryDirectory() as elsewhere, mock.patch.dict(
            os.environ, LD_LIBRARY_PATH=f"/does/not/exist:{elsewhere}"
        ):
            library = os.path.join(elsewhere, "libpython9.99.so.1.0")
            shutil.copyfile(sys.executable, library)
            self.assertEqual(_haft_checks.find_library("libpython9.99.so.1.0"), library)
        self.assertIsNone(
            _haft_checks.find_library("libpython9.99.so.1.0", cache="/does/not/exist")
        )

    def test_damaged_files(self):
        good = pathlib.Path(os.path.realpath(sys.executable)).read_bytes()[:4096]
        with tempfile.NamedTemporaryFile() as file:
            for content in (
                b"",
                b"\x7fELF",
                b"#!/bin/sh\n",
                good[:64],
                good,
                good[:32] + struct.pack("<Q", 1 << 60) + good[40:],
            ):
                file.seek(0)
                file.truncate()
                file.write(content)
                file.flush()
                with self.assertRaises(ValueError):
                    _haft_checks.needed_libraries(file.name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
