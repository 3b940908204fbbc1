"""--bundle-python: the interpreter inside the file, on hosts that have another one or none."""

import json
import re
import subprocess

import support
from support import root as roots

SECONDS = 40

FACTS = """\
import json, os, subprocess, sys
import ssl, sqlite3, ctypes, lzma, bz2, zlib, decimal, socket, multiprocessing, curses, readline
import uuid, hashlib

def child():
    return [sys.executable, [line.split()[5].strip() for line in open("/proc/self/maps")
        if len(line.split()) > 5]]

def in_pool():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(child)

def main():
    again = subprocess.check_output([sys.executable, "-c",
        "import json, facts; print(json.dumps(facts.child()))"])
    print(json.dumps({"executable": sys.executable, "prefix": sys.prefix, "version": sys.version,
                      "path": sys.path,
                      "environ": dict(os.environ), "comm": open("/proc/self/comm").read().strip(),
                      "maps": child()[1], "again": json.loads(again),
                      "pool": in_pool(), "argv": sys.argv,
                      "name": socket.gethostbyname("127.0.0.1"),
                      "python": __import__("shutil").which("python3")}))
"""


def facts():
    return support.app("facts", {"facts.py": FACTS}, "-e", "facts:main", "--bundle-python")


def foreign_maps(maps, mount):
    """Files mapped from elsewhere. (The C library maps the host's locale and its index of character
    sets: data.)"""
    return sorted(
        {
            path
            for path in maps
            if path.startswith("/")
            and not path.startswith(mount + "/")
            and not path.startswith("/usr/lib/locale/")
            and not path.endswith("/gconv-modules.cache")
            and not path.startswith("/dev/")
        }
    )


class TestHost(support.TestCase):
    """On this host, which has a Python of its own."""

    def test_all_is_in_the_mount(self, mode):
        with self.clean():
            done = support.run([facts(), "a", "b c"], mode=mode, check=True)
        told = json.loads(done.stdout)
        mount = "/run/haft/facts"
        self.assertEqual(told["prefix"], f"{mount}/usr")
        self.assertRegex(told["executable"], rf"^{mount}/usr/bin/python3\.\d+$")
        self.assertEqual(told["argv"][1:], ["a", "b c"])
        for maps in (told["maps"], told["again"][1], told["pool"][1]):
            self.assertEqual(foreign_maps(maps, mount), [])
            self.assertTrue(any(path.endswith("/usr/lib/libc.so.6") for path in maps))
        self.assertEqual([told["again"][0], told["pool"][0]], [told["executable"]] * 2)
        self.assertEqual([path for path in told["path"] if path and not path.startswith(mount)], [])
        self.assertEqual(told["comm"], "facts")  # as a script is called
        self.assertNotIn("LD_LIBRARY_PATH", told["environ"])

    def interpret(self, code):
        """What `python -c CODE` of the bundle prints."""
        done = support.run(
            [facts(), "-c", code], env=support.clean_env(HAFT_INTERPRETER="1"), check=True
        )
        return done.stdout

    def test_programs_of_the_host_get_the_hosts_libraries(self):
        out = self.interpret(
            "import subprocess; subprocess.run(['/usr/bin/ldd', '/usr/bin/python3'], check=True)"
        )
        self.assertIn("libc.so.6 => /lib", out)
        self.assertNotIn("/run/haft/", out)

    def test_virtual_environment(self):
        """A venv made by the bundled interpreter runs it, as long as it is inside."""
        directory = support.unique_dir()
        python = str(directory / "v" / "bin" / "python")
        out = self.interpret(
            "import subprocess, sys, venv\n"
            f"venv.create({str(directory / 'v')!r}, symlinks=True)\n"
            f"subprocess.run([{python!r}, '-I', '-c', "
            "'import sys; print(sys.prefix, sys.base_prefix)'], check=True)\n"
        )
        self.assertEqual(out.split(), [str(directory / "v"), "/run/haft/facts/usr"])

    def test_python_by_name_is_the_bundled_one(self):
        out = self.interpret(
            "import subprocess\n"
            "subprocess.run(['sh', '-c', 'python3 -c \"import sys; print(sys.prefix)\"'], "
            "check=True)"
        )
        self.assertEqual(out, "/run/haft/facts/usr\n")

    def test_unpacked_it_runs_from_there(self):
        """No path in it depends on where the image is."""
        code = (
            "import sys, subprocess; print(sys.prefix); subprocess.run([sys.executable, '-c', "
            "'import sys; print(sys.prefix)'])"
        )
        with self.clean(quiet_host=False):
            done = support.run(
                [facts(), "-c", code],
                env=support.clean_env(HAFT_INTERPRETER="1", HAFT_MODE="extract"),
                check=True,
            )
        first, second = done.stdout.split()
        self.assertEqual(first, second)
        self.assertTrue(first.endswith("/usr") and not first.startswith("/run/haft/"), first)

    @support.long_test
    def test_same_input_same_bytes(self):
        tree = support.write_tree(support.unique_dir(), {"facts.py": FACTS})
        outputs = [
            support.build(
                tree,
                "-e",
                "facts:main",
                "--bundle-python",
                "--no-profile",
                "--name",
                "facts",
                "--jobs",
                str(jobs),
                output=support.unique_dir() / "facts",
            )
            for jobs in (1, 2)
        ]
        self.assertTrue(outputs[0].read_bytes() == outputs[1].read_bytes())

    def test_info_lists_packages_and_licences(self):
        text = support.haft("info", facts()).stdout
        self.assertRegex(text, r"(?m)^ *libc6 +\S+")
        contents = support.info(facts())["contents"]
        by_name = {package["name"]: package for package in contents["packages"]}
        version = subprocess.check_output(
            ["dpkg-query", "-W", "-f", "${Version}", "libssl3"], text=True
        )
        self.assertEqual(by_name["libssl3"]["version"], version)
        self.assertIn("Apache", by_name["libssl3"]["license"])
        self.assertIn("usr/lib/libssl.so.3", by_name["libssl3"]["files"])
        self.assertIn(
            "Copyright", support.haft("cat", facts(), "usr/share/doc/libssl3/copyright").stdout
        )


class TestBusybox(support.TestCase):
    """In a root that has busybox and nothing else."""

    @support.parametrised(user=[support.ROOT, support.PERSON])
    def test_interpreter(self, user):
        root = roots.busybox_root()
        (program,) = roots.put(root, facts())
        done = roots.run(root, [program], user=user)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        told = json.loads(done.stdout)
        for maps in (told["maps"], told["again"][1], told["pool"][1]):
            self.assertEqual(
                [
                    path
                    for path in maps
                    if path.startswith("/")
                    and not path.startswith("/run/haft/facts/")
                    and not path.startswith("/dev/")
                ],
                [],
            )

    @support.parametrised(user=[support.ROOT, support.PERSON])
    def test_certbot(self, user):
        root = roots.busybox_root()
        (program,) = roots.put(root, support.portable_bundle("certbot", "-c", "certbot"))
        done = roots.run(root, [program, "--version"], user=user)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "certbot 2.1.0\n", ""))
        done = roots.run(root, [program, "--help"], user=user)
        self.assertEqual(done.returncode, 0)
        self.assertTrue(re.search("certbot .SUBCOMMAND. .options.", done.stdout), done.stdout[:500])
