"""Mode extract: who shares what is unpacked, how long it lives, what is kept with HAFT_CACHE."""

import concurrent.futures
import os
import pathlib
import signal
import subprocess
import time
import unittest
import zipfile
import zlib

import support

SECONDS = 30

EXTRACT = {"HAFT_MODE": "extract"}


@unittest.skipIf(os.geteuid(), "needs root")
class ExtractCase(support.TestCase):
    def run_lab(self, code, mode="userns", **variables):
        return support.run(
            [support.lab(), code], mode=mode, env=support.clean_env(**EXTRACT, **variables)
        )

    def start_lab(self, code, mode="userns", **variables):
        return support.start(
            [support.lab(), code],
            mode=mode,
            env=support.clean_env(**EXTRACT, **variables),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def place(self, mode):
        return pathlib.Path(f"/tmp/haft-{support.user_in(mode).uid}")

    def gone(self, mode, seconds=3):
        self.assertTrue(
            support.wait_until(lambda: not self.place(mode).exists(), seconds), self.place(mode)
        )


class TestLifetime(ExtractCase):
    def test_same_tree_as_unpacked_by_haft(self, mode):
        target = support.unique_dir() / "tree"
        support.haft("extract", support.lab(), target)
        code = (
            "import subprocess; print(subprocess.run(['diff', '-r', sys.argv[2], "
            "os.environ['PYTHONPATH'].split('/.haft')[0]]))"
        )
        with self.clean(timeout=4.0):
            done = support.run(
                [support.lab(), code, target],
                mode=mode,
                env=support.clean_env(**EXTRACT),
                check=True,
            )
        self.assertIn("returncode=0", done.stdout)
        self.gone(mode)

    def test_nobody_else_gets_in(self):
        process = self.start_lab("print('ready', flush=True); sys.stdin.read()")
        with self.clean(timeout=4.0):
            process.stdout.readline()
            self.assertEqual(self.place("userns").stat().st_mode & 0o777, 0o700)
            other = [
                "setpriv",
                "--reuid=1",
                "--regid=1",
                "--clear-groups",
                "ls",
                self.place("userns"),
            ]
            self.assertNotEqual(support.run(other).returncode, 0)
            process.communicate()
        self.gone("userns")

    def test_children_of_root_that_drop_their_rights_read(self):
        code = (
            "os.setgid(65534); os.setuid(65534)\nimport lab_lazy.m60, subprocess\n"
            "subprocess.run([sys.executable, '-c', 'import lab_lazy.m61, os; "
            "print(os.getuid(), lab_lazy.m61.VALUE)'])"
        )
        with self.clean(timeout=4.0):
            done = self.run_lab(code, "namespace")
        self.assertEqual((done.stdout, done.stderr), ("65534 61\n", ""))
        self.gone("namespace")

    def test_32_first_starts_at_once(self, mode):
        with self.clean(timeout=8.0), concurrent.futures.ThreadPoolExecutor(32) as pool:
            ends = list(
                pool.map(
                    lambda _: self.run_lab("import lab_lazy.m7; result = lab_lazy.m7.VALUE", mode),
                    range(32),
                )
            )
        self.assertEqual({(end.returncode, end.stderr) for end in ends}, {(7, "")})
        self.gone(mode)

    def test_lives_as_long_as_the_last_user(self, mode):
        """Two programs, and a daemon of one of them that closes everything, leaves its directory
        and clears its group."""
        proof = support.unique_dir(mode=0o777) / "proof"
        daemon = (
            "if os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
            "os.chdir('/'); os.closerange(0, 999)\n"
            f"time.sleep(1.5)\nimport lab_lazy.m99\n"
            f"open({str(proof)!r}, 'w').write(str(lab_lazy.m99.VALUE))\n"
        )
        other = self.start_lab(
            "sys.stdin.readline(); import lab_lazy.m3; print(lab_lazy.m3.VALUE)", mode
        )
        with self.clean(timeout=4.0):
            self.assertEqual(self.run_lab("import lab_lazy.m1", mode).returncode, 0)
            self.assertEqual(self.run_lab(daemon, mode).returncode, 0)
            self.assertEqual(other.communicate("\n", timeout=10)[0], "3\n")
            self.assertTrue(
                support.wait_until(lambda: proof.exists() and proof.read_text() == "99", 10)
            )
        self.gone(mode)

    def test_killed_while_it_unpacks(self, mode):
        for milliseconds in (1, 4, 8, 12, 16, 30):
            with self.clean(timeout=4.0):
                process = self.start_lab("time.sleep(9)", mode)
                time.sleep(milliseconds / 1000)
                process.kill()
                process.communicate()
        # At the very first moments an empty directory may be left.
        self.assertEqual(self.run_lab("", mode).returncode, 0)
        self.gone(mode)

    def test_cleanup_killed_too_is_swept_by_the_next_start(self, mode):
        """Also what another bundle has left; and a half unpacked tree is never used."""
        process = self.start_lab("print('ready', flush=True); sys.stdin.read()", mode)
        process.stdout.readline()
        for pid in support.haft_processes():
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate()
        [entry] = self.place(mode).iterdir()
        victim = entry / "lab/site-packages/lab_lazy/m5.py"
        (entry / "complete").unlink()
        victim.write_text("VALUE = 'evil'")
        with self.clean(timeout=4.0):
            self.assertEqual(
                self.run_lab("import lab_lazy.m5; result = lab_lazy.m5.VALUE", mode).returncode, 5
            )
        self.gone(mode)

    def test_tree_damaged_by_a_cleaner_is_unpacked_again(self, mode):
        cache = support.unique_dir(mode=0o755)
        support.user_in(mode).own(cache)
        cache.chmod(0o700 if mode == "userns" else 0o755)
        self.assertEqual(self.run_lab("", mode, HAFT_CACHE=str(cache)).returncode, 0)
        next(cache.rglob("m5.py")).unlink()
        done = self.run_lab(
            "import lab_lazy.m5; result = lab_lazy.m5.VALUE", mode, HAFT_CACHE=str(cache)
        )
        self.assertEqual((done.returncode, done.stderr), (5, ""))
        self.assertTrue(next(cache.rglob("m5.py")).exists())


class TestStolenIdentity(ExtractCase):
    """Names, sizes, times and id of a victim, other contents: what is unpacked must not become the
    victim's."""

    GOOD = "def main(): print('the good one')\n"
    EVIL = "def main(): print('somebody else')\n"

    def bundle(self, source, *arguments):
        source = source.ljust(80)
        tree = support.write_tree(support.unique_dir(), {"demo.py": source})
        for path in (tree / "demo.py", tree):
            os.utime(path, (1_000_000_000,) * 2)
        output = support.unique_dir() / "demo"
        support.build(tree, "-e", "demo:main", "--no-profile", *arguments, output=output)
        return output

    def run_with(self, cache, *command):
        return support.run(
            command, env=support.clean_env(**EXTRACT, HAFT_CACHE=str(cache)), timeout=SECONDS
        )

    def test_root_of_another_bundle(self):
        good, evil = self.bundle(self.GOOD), self.bundle(self.EVIL)
        stolen = bytearray(evil.read_bytes())
        stolen[-32:] = good.read_bytes()[-32:]
        evil.write_bytes(stolen)
        cache = support.unique_dir() / "cache"
        done = self.run_with(cache, support.HAFT, "exec", evil, "--", "/bin/true")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "the trailer is damaged")
        self.assertEqual(self.run_with(cache, good).stdout, "the good one\n")

    def test_contents_of_another_bundle(self):
        """Trailer, index and digests of the victim, in front of them other blocks."""
        good = self.bundle(self.GOOD, "--uncompressed")
        cache = support.unique_dir() / "cache"
        evil = support.unique_dir() / "evil"
        contents = good.read_bytes()
        self.assertIn(self.GOOD.encode(), contents)
        evil.write_bytes(
            contents.replace(
                self.GOOD.encode(), self.EVIL.ljust(len(self.GOOD)).encode()[: len(self.GOOD)]
            )
        )
        done = self.run_with(cache, support.HAFT, "exec", evil, "--", "/bin/true")
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "block digest is wrong")
        self.assertEqual(self.run_with(cache, good).stdout, "the good one\n")

    def test_archive_with_the_crcs_of_another(self):
        """CRC-32 can be made anything with four bytes, and a directory says nothing else."""

        def archive(contents):
            path = support.unique_dir() / "demo.pyz"
            with zipfile.ZipFile(path, "w") as made:
                made.writestr(zipfile.ZipInfo("__main__.py", (2001, 2, 3, 4, 5, 6)), contents)
            return path

        theirs = b"print('the good one')".ljust(80) + b"#####"
        for number in range(10_000):
            ours = b"print('somebody else') # %d" % number
            ours = ours.ljust(81) + forged_suffix(ours.ljust(81), zlib.crc32(theirs))
            if ours[-4:].isalnum():  # a comment
                break
        good, evil = archive(theirs), archive(ours)
        self.assertEqual(good.read_bytes()[-76:], evil.read_bytes()[-76:], "the same directory")
        cache = support.unique_dir() / "cache"
        self.assertEqual(self.run_with(cache, support.HAFT, "run", evil).stdout, "somebody else\n")
        for _ in range(2):
            self.assertEqual(
                self.run_with(cache, support.HAFT, "run", good).stdout, "the good one\n"
            )
        self.assertEqual(len(list(cache.iterdir())), 2)


def forged_suffix(data, crc):
    """Four bytes after which the CRC-32 of `data` is `crc`: the CRC runs backwards as well."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        table.append(value)
    back = {value >> 24: index for index, value in enumerate(table)}
    state = crc ^ 0xFFFFFFFF
    for _ in range(4):
        index = back[state >> 24]
        state = (state ^ table[index]) << 8 & 0xFFFFFFFF | index
    return (state ^ zlib.crc32(data) ^ 0xFFFFFFFF).to_bytes(4, "little")


class TestCache(ExtractCase):
    def test_kept_used_again_listed_and_pruned(self):
        cache = support.unique_dir() / "cache"
        code = "import lab; print(lab.__file__, os.stat(lab.__file__).st_ino)"
        with self.clean():
            first = self.run_lab(code, "namespace", HAFT_CACHE=str(cache)).stdout
            self.assertTrue(first.startswith(f"{cache}/lab-"), first)
            self.assertEqual(self.run_lab(code, "namespace", HAFT_CACHE=str(cache)).stdout, first)
        listed = support.haft("cache", "list", cache).stdout
        self.assertRegex(listed, r"MB .* lab [0-9a-f]{64}\n")
        self.assertIn(support.info(support.lab())["image_id"], listed)
        running = self.start_lab(
            "print('ready', flush=True); sys.stdin.read()", "namespace", HAFT_CACHE=str(cache)
        )
        running.stdout.readline()
        self.assertRegex(support.haft("cache", "list", cache).stdout, "used +lab")
        self.assertRegex(support.haft("cache", "prune", cache).stdout, r"^0 removed .* 1 in use\n$")
        running.communicate()
        self.assertRegex(
            support.haft("cache", "prune", "--days", "1", cache).stdout,
            r"^0 removed .* 0 in use\n$",
        )
        done = support.haft("cache", "prune", env=support.clean_env(HAFT_CACHE=str(cache)))
        self.assertRegex(done.stdout, r"^1 removed \(\d+\.\d MB\), 0 in use\n$")
        self.assertEqual(list(cache.iterdir()), [])

    @support.parametrised(bad=["relative", "/nonexistent/dir", "/tmp/a b", "/etc/passwd"])
    def test_unusable_directory(self, bad):
        done = self.run_lab("", HAFT_CACHE=bad)
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, bad)

    def test_directory_of_somebody_else(self):
        cache = support.unique_dir()
        done = self.run_lab("", HAFT_CACHE=str(cache))
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, str(cache), "another user")

    def test_usage(self):
        for words in (
            ["cache"],
            ["cache", "list"],
            ["cache", "wipe", "/tmp"],
            ["cache", "prune", "--days", "x", "/tmp"],
        ):
            done = support.haft(*words, check=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertEqual(done.stderr.count("\n"), 1)
        done = support.haft("cache", "list", "/nonexistent", check=False)
        self.assertEqual(done.returncode, 1)
