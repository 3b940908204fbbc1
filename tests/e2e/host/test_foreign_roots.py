"""One file with Apache, Python, mod_wsgi and Django inside, on minimal Debian systems that have
neither Python nor Apache."""

import shutil
import subprocess

import support
from support import django_app, mod_wsgi, trees, web
from support import root as roots

SECONDS = 30


def debian_root(case, release):
    """A debootstrapped minimal system, once per run, from the archive this machine has
    configured."""
    with trees.made_once(f"root-{release}") as path:
        if not path.exists():
            reasons = []
            for uri, _ in mod_wsgi.configured_sources():
                new = path.with_suffix(".new")
                done = subprocess.run(
                    ["debootstrap", "--variant=minbase", release, new, uri],
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=900,
                )
                if done.returncode == 0:
                    roots.add_devices(new)
                    new.rename(path)
                    break
                reasons.append(done.stdout[-300:] + done.stderr[-300:])
                shutil.rmtree(new, ignore_errors=True)
            else:
                case.fail(f"debootstrap {release}: {reasons}")
        return path


class TestDebian(support.TestCase):
    seconds = 1200

    @support.long_test
    @support.parametrised(release=["bullseye", "bookworm", "trixie"])
    def test_web_application(self, release):
        root = debian_root(self, release)
        for name in ("usr/bin/python3", "usr/sbin/apache2", "usr/lib/apache2"):
            self.assertFalse((root / name).exists(), name)
        (program,) = roots.put(root, django_app.whole_site())
        for user in (support.ROOT, support.PERSON):
            command = [
                program,
                "--port",
                "{port}",
                "--static",
                "/static=mysite:static",
                *(["--user", "www-data"] if user.uid == 0 else []),
            ]
            with self.subTest(user=str(user)), web.Server(
                command, session=False, preexec_fn=roots.enter(root, user, session=True), seconds=60
            ) as server:
                self.assertIn(b"csrfmiddlewaretoken", server.get("/admin/login/").body)
                self.assertEqual(
                    server.get("/static/admin/css/base.css").headers["Content-Type"], "text/css"
                )
                self.assertEqual(server.get("/").json()["uid"], user.uid or web.WWW_DATA)
                processes = roots.session(server.pid)
                self.assertGreaterEqual(len(processes), 3)
                for pid in processes:
                    foreign = roots.foreign_maps(pid, "/run/haft/whole")
                    # Data of that system: its locale, its index of character sets.
                    self.assertEqual(
                        {
                            path
                            for path in foreign
                            if "/locale/" not in path and "gconv" not in path
                        },
                        set(),
                    )
                self.assertEqual(server.stop(), 0)
        (program,) = roots.put(root, support.portable_bundle("certbot", "-c", "certbot"))
        done = roots.run(root, [program, "--version"])
        self.assertEqual((done.returncode, done.stdout), (0, "certbot 2.1.0\n"), done.stderr)
