"""The bundle `shop`, which serves the test application, and what its tests share."""

import http.client
import os
import threading
import time

import support
from support import running, trees, web

LAZY = "/run/haft/shop/site-packages/hello_lazy/m{}.py"
IS_ROOT = os.geteuid() == 0
MOD_WSGI = "/usr/lib/apache2/modules/mod_wsgi.so"


def shop(server="httpd", *more):
    """The bundle of web.site_tree() that serves with `server`."""
    options = ("--wsgi", "hello_site.wsgi:application", "--server", server, *more)
    return trees.cached_bundle("shop", options, lambda: [web.site_tree()])


def small_site(name, files, *options):
    """A bundle of a few files, made anew."""
    return support.build(
        support.write_tree(support.unique_dir(), files),
        *options,
        output=support.unique_dir() / name,
    )


def served_by(mode):
    """The uid of the processes that answer."""
    return web.WWW_DATA if mode == "namespace" else running.user_in(mode).uid


def user_options(mode):
    return ["--user", "www-data"] if mode == "namespace" else []


class SiteCase(support.TestCase):
    def start(self, bundle, *options, **settings):
        return web.Server([bundle, "--port", "{port}", *options], **settings)

    def refused(self, *parts, status=125, options=(), bundle=None, **settings):
        done = support.run([bundle or shop(), *options], **settings)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertOneLine(done.stderr, *parts, start="haft: 'shop': ")

    def in_flight(self, number, *, answered, bundle=None):
        done = support.unique_dir(mode=0o777) / "done"
        options = user_options(support.MODES[0]) if bundle is None else []
        with self.clean(), self.start(
            bundle or shop(), *options, env=web.environment(HELLO_LOG=str(done))
        ) as server:
            answers = []

            def ask():
                try:
                    answers.append(server.get("/slow/1.5/6").json())
                except (OSError, http.client.HTTPException):
                    pass

            asking = threading.Thread(target=ask)
            asking.start()
            time.sleep(0.5)
            self.assertEqual(server.stop(number), 0)
            asking.join(10)
            self.assertNotIn("Traceback", server.log())
        self.assertEqual(done.read_text(), LAZY.format(6))
        if answered:
            self.assertEqual(answers, [LAZY.format(6)])
