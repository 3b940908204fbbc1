"""Real applications out of Debian's packages run from one file, and from the mount."""

import os
import signal
import subprocess
import urllib.request

import support

SECONDS = 60  # builds the big bundles

FLASK_SITE = {
    "hello_site/__init__.py": "",
    "hello_site/app.py": """\
import sys
import flask
from werkzeug.serving import make_server

app = flask.Flask(__name__)

@app.route("/<name>")
def hello(name):
    return flask.render_template("hello.html", name=name, where=flask.__file__)

def main():
    server = make_server("127.0.0.1", 0, app)
    print(server.server_port, flush=True)
    server.serve_forever()

if __name__ == "__main__":
    main()
""",
    "hello_site/templates/hello.html": "hello {{ name }} from {{ where }}",
}

NUMPY = {
    "det.py": """\
import numpy
print(round(numpy.linalg.det(numpy.array([[1.0, 2.0], [3.0, 4.0]])), 6))
for line in open("/proc/self/maps"):
    if ".so" in line and "/run/haft/" in line:
        print(line.split()[-1])
"""
}

CRYPTO = {
    "crypto_check.py": """\
import datetime
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

def main():
    key = Fernet.generate_key()
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"secret")) == b"secret"
    signer = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "haft.example")])
    now = datetime.datetime(2024, 1, 1)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                   .public_key(signer.public_key()).serial_number(1).not_valid_before(now)
                   .not_valid_after(now + datetime.timedelta(1))
                   .sign(signer, hashes.SHA256()))
    print(certificate.subject.rfc4514_string())
    print(sum(".so" in line and "/run/haft/" in line for line in open("/proc/self/maps")) > 0)
"""
}


def with_tree(package, files, name, *entry):
    """A bundle of a Debian package's tree and a few files of the test's own."""
    own = support.write_tree(support.unique_dir(), files)
    return support.build([support.tree(package), own], *entry, output=support.unique_dir() / name)


class TestCertbot(support.TestCase):
    def test_version(self, mode):
        with self.clean():
            done = support.run([support.bundle("certbot", "-c", "certbot"), "--version"], mode=mode)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "certbot 2.1.0\n", ""))

    def test_help_is_that_of_a_plain_directory(self, mode):
        bundle = support.bundle("certbot", "-c", "certbot")
        with self.clean():
            done = support.run([bundle, "--help"], mode=mode)
        code = (
            "import sys; from certbot.main import main; sys.argv[0] = sys.argv.pop(1); "
            "sys.exit(main())"
        )
        env = support.plain_environment(support.tree("certbot"), support.clean_env())
        plain = support.run(
            [support.PYTHON, "-B", "-c", code, bundle, "--help"], mode=mode, env=env
        )
        self.assertIn("certbot [SUBCOMMAND] [options]", done.stdout)
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr), (0, plain.stdout, plain.stderr)
        )


class TestFlask(support.TestCase):
    bundles = {}

    def bundle(self, entry):
        if entry not in self.bundles:
            what = {"function": ("-e", "hello_site.app:main"), "module": ("-m", "hello_site.app")}[
                entry
            ]
            self.bundles[entry] = with_tree("python3-flask", FLASK_SITE, "hello", *what)
        return self.bundles[entry]

    @support.parametrised(entry=["function", "module"])
    def test_answers_a_request(self, entry, mode):
        with self.clean(), support.start(
            [self.bundle(entry)],
            mode=mode,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                port = process.stdout.readline().strip()
                self.assertTrue(port, process.stderr.read() if process.poll() is not None else "")
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/world", timeout=20) as answer:
                    text = answer.read().decode()
            finally:
                process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), -signal.SIGTERM)
        self.assertEqual(text, "hello world from /run/haft/hello/site-packages/flask/__init__.py")


class TestCompiled(support.TestCase):
    def test_numpy_maps_its_libraries_from_the_mount(self, mode):
        bundle = with_tree("python3-numpy", NUMPY, "det", "-m", "det")
        with self.clean():
            done = support.run([bundle], mode=mode)
        self.assertEqual(done.stderr, "")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "-2.0")
        names = {os.path.basename(line).split(".")[0] for line in lines[1:]}
        self.assertTrue(names >= {"_multiarray_umath", "_umath_linalg"}, names)
        self.assertTrue(
            all(line.startswith("/run/haft/det/site-packages/numpy/") for line in lines[1:]), lines
        )

    def test_cryptography_works(self, mode):
        bundle = with_tree("python3-cryptography", CRYPTO, "crypto", "-e", "crypto_check:main")
        with self.clean():
            done = support.run([bundle], mode=mode)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "CN=haft.example\nTrue\n")


class TestDjango(support.TestCase):
    def django(self, *arguments, mode, cwd=None):
        with self.clean():
            return support.run(
                [support.bundle("python3-django", "-m", "django"), *arguments],
                mode=mode,
                cwd=cwd,
                check=True,
            ).stdout

    def test_version(self, mode):
        self.assertRegex(self.django("--version", mode=mode), r"^3\.2\.\d+\n$")

    def test_project(self, mode):
        """startproject copies templates that are data files of the bundle; check imports most of
        Django."""
        directory = support.unique_dir(mode=0o777)
        self.django("startproject", "shop", mode=mode, cwd=directory)
        self.assertEqual(
            sorted(p.name for p in (directory / "shop").iterdir()), ["manage.py", "shop"]
        )
        said = self.django(
            "check", "--settings=shop.settings", "--pythonpath=.", mode=mode, cwd=directory / "shop"
        )
        self.assertEqual(said, "System check identified no issues (0 silenced).\n")
