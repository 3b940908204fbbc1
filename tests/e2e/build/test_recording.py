"""The run that records what a start reads executes what others wrote: it changes nothing, and
reaches nobody."""

import json
import os
import socket

import support

SECONDS = 20

# Each attempt by itself; what came of it is in the program's exit message, which the build quotes.
ATTEMPTS = """
import json, os, socket, sys, tempfile
HERE = os.path.dirname(__file__)
RESULT = {}
def attempt(name, function, *arguments):
    try:
        function(*arguments)
        RESULT[name] = "done"
    except OSError:
        RESULT[name] = "no"
def write(path, mode="a"):
    with open(path, mode) as file:
        file.write("changed")
def main():
    sys.exit(json.dumps(RESULT))
"""


class TestRecording(support.TestCase):
    def setUp(self):
        self.tree = support.unique_dir("recording")
        self.outside = support.unique_dir("outside")

    def build(self, module, *arguments, user=support.ROOT, **options):
        """What the build says."""
        support.write_tree(self.tree, {"app.py": module})
        output = support.unique_dir("recording-out")
        for path in (self.tree, *self.tree.iterdir(), self.outside, output):
            user.own(path)
        words = ["--site-packages", self.tree, "-e", "app:main", "-o", output / "app"]
        command = [support.HAFT, "build", "--no-project", *words, *arguments]
        done = support.run(support.as_user(command, user), **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return output / "app", done.stderr

    def results(self, text, **options):
        _, errors = self.build(ATTEMPTS + text, "--profile", "", **options)
        line = next(line for line in errors.splitlines() if "profile:" in line)
        self.assertIn("{", line)
        return json.loads(line[line.index(": {") + 2 : line.index("}") + 1])

    @support.parametrised(user=[support.ROOT, support.PERSON])
    def test_a_package_that_writes_beside_itself_changes_no_input(self, user):
        """It did, and the build ended with "changed while it was being packed"."""
        support.write_tree(self.tree, {"cacert.pem": "certificates"})
        mode = (self.tree / "cacert.pem").stat().st_mode
        bundle, _ = self.build(
            "import os\nHERE = os.path.dirname(__file__)\n"
            "def main(): print('runs')\n"
            "try:\n"
            "    os.chmod(HERE + '/cacert.pem', 0o777)\n"
            "    os.utime(HERE + '/cacert.pem', (0, 0))\n"
            "    with open(HERE + '/cacert.pem', 'a') as file: file.write('more')\n"
            "except OSError: pass\n",
            user=user,
        )
        self.assertEqual((self.tree / "cacert.pem").read_text(), "certificates")
        self.assertEqual((self.tree / "cacert.pem").stat().st_mode, mode)
        self.assertNotEqual((self.tree / "cacert.pem").stat().st_mtime, 0)
        self.assertEqual(sorted(os.listdir(self.tree)), ["app.py", "cacert.pem"])
        self.assertEqual(support.run([bundle]).stdout, "runs\n")

    @support.parametrised(user=[support.ROOT, support.PERSON])
    def test_only_its_own_directory_can_be_written(self, user):
        victim = support.write_tree(self.outside, {"file": "kept"}) / "file"
        user.own(victim)
        found = self.results(
            f"""
attempt("outside", write, {os.fspath(victim)!r})
attempt("made", write, {os.fspath(self.outside / "new")!r})
attempt("truncated", os.truncate, {os.fspath(victim)!r}, 0)
attempt("removed", os.unlink, {os.fspath(victim)!r})
attempt("renamed", os.rename, {os.fspath(victim)!r}, os.environ["TMPDIR"] + "/taken")
attempt("linked", os.link, {os.fspath(victim)!r}, os.environ["TMPDIR"] + "/linked")
attempt("home", write, os.environ["HOME"] + "/file")
attempt("temporary", tempfile.NamedTemporaryFile)
attempt("null", write, os.devnull)
""",
            user=user,
        )
        done = [name for name, what in found.items() if what == "done"]
        self.assertEqual(done, ["home", "temporary", "null"], found)
        self.assertEqual(victim.read_text(), "kept")

    def test_no_network_and_no_local_server(self):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fspath(self.outside / "s"))
            server.listen()
            found = self.results(
                f"""
def local():
    socket.socket(socket.AF_UNIX).connect({os.fspath(self.outside / "s")!r})
def remote():
    socket.create_connection(("127.0.0.1", 9))
attempt("local", local)
attempt("remote", remote)
attempt("pair", socket.socketpair)
"""
            )
        self.assertEqual(found, {"local": "no", "remote": "no", "pair": "done"})

    def test_names_in_profile_are_relative_to_where_the_build_was_called(self):
        support.write_tree(self.outside, {"config.ini": "[a]"})
        _, errors = self.build(
            "import sys\ndef main():\n    with open(sys.argv[1]) as file: file.read()\n",
            "--profile",
            "config.ini",
            cwd=self.outside,
        )
        self.assertNotIn("profile:", errors)
