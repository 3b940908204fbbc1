"""A bundle that cannot start says why in one line, ends with 125, and leaves nothing."""

import os
import shlex
import shutil
import struct
import unittest

import support

SECONDS = 15

CODE = "import lab_lazy.m1; print('fine')"


class Bundle:
    """A private copy of the lab's bundle and where its parts are (docs/format.md)."""

    def __init__(self, *arguments):
        self.path = support.unique_dir() / "lab"
        shutil.copy(support.lab(*arguments), self.path)
        self.size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            file.seek(self.size - 384)
            trailer = file.read(384)
        self.image_size, self.runtime_size = struct.unpack_from("<QQ", trailer, 24)
        self.image_offset = self.size - self.image_size
        self.index_offset = self.image_offset + struct.unpack_from("<Q", trailer, 40)[0]
        self.manifest_offset = self.image_offset + struct.unpack_from("<Q", trailer, 80)[0]

    def flip(self, offset, bit=0):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << bit]))

    def find(self, data):
        return self.path.read_bytes().index(data)


class BadCase(support.TestCase):
    def refuses(self, command, mode, *parts, start="haft: ", status=(125,)):
        """One line and 125, quickly, and nothing left of it."""
        with self.clean():
            done = support.run(command, mode=mode, timeout=10)
        self.assertEqual(done.stdout, "")
        self.assertOneLine(
            done.stderr, *parts, start=("haft: ", "lab: ") if start == "haft: " else start
        )
        self.assertIn(done.returncode, status, done.stderr)
        return done.stderr


class TestDamage(BadCase):
    @support.parametrised(part=["magic", "size", "root", "index_offset"])
    def test_trailer(self, part, mode):
        bundle = Bundle()
        bundle.flip(
            bundle.size - 384 + {"magic": 3, "size": 26, "root": 370, "index_offset": 42}[part],
            4,
        )
        self.refuses([bundle.path, CODE], mode)
        self.assertEqual(support.haft("verify", bundle.path, check=False).returncode, 1)

    def test_manifest(self, mode):
        bundle = Bundle()
        bundle.flip(bundle.manifest_offset + 20)
        self.refuses([bundle.path, CODE], mode, "manifest")

    def test_index_of_the_root(self, mode):
        """The first inode record: nothing can be found any more."""
        bundle = Bundle()
        bundle.flip(bundle.index_offset + 8, 5)
        with self.clean():
            done = support.run([bundle.path, CODE], mode=mode)
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("fine", done.stdout)
        self.assertTrue(done.stderr)
        verified = support.haft("verify", bundle.path, check=False)
        self.assertEqual(verified.returncode, 1)
        self.assertIn("index", verified.stderr + verified.stdout)

    def test_block_is_EIO_never_wrong_bytes(self, mode):
        """A flipped bit in a data file: that block gives EIO, the rest is as before."""
        bundle = Bundle("-c", "lab", "--compression", "lz4")  # blocks of 128 KiB
        noise = (support.lab_tree() / "lab_data" / "big.bin").read_bytes()
        bundle.flip(bundle.find(noise[500_000:500_100]))
        code = (
            "import lab_lazy.m1\n"
            "with open('/run/haft/lab/site-packages/lab_data/big.bin', 'rb') as f:\n"
            "  print(len(f.read(1000)))\n"
            "  try:\n    f.seek(500_000); f.read(100); print('read')\n"
            "  except OSError as e: print(e.errno)\n"
            "print(open('/run/haft/lab/site-packages/lab_data/text.txt').read())"
        )
        with self.clean():
            done = support.run([bundle.path, code], mode=mode, check=True)
        self.assertEqual(done.stdout, "1000\n5\ntext of the lab\n\n")
        verified = support.haft("verify", bundle.path, check=False)
        self.assertEqual(verified.returncode, 1)
        self.assertIn("big.bin", verified.stderr + verified.stdout)

    def test_block_of_the_bootstrap(self, mode):
        """Python takes a script that it cannot read for an empty one; the bundle must not end with
        0 then."""
        app = support.code_app("boot", "print('fine')")
        image_offset = support.info(app)["image_offset"]
        bad = support.unique_dir() / "boot"
        with self.clean():
            for offset in range(image_offset + 64, image_offset + 2064, 400):
                content = bytearray(app.read_bytes())
                content[offset] ^= 4
                bad.unlink(missing_ok=True)
                bad.write_bytes(content)
                bad.chmod(0o755)
                done = support.run([bad], mode=mode)
                if (
                    done.returncode == 0
                ):  # Python took the sources, which lie elsewhere, for the compiled files
                    self.assertEqual(done.stdout, "fine\n")
                    continue
                self.assertEqual(done.stdout, "")
                self.assertIn(done.returncode, (1, 125), done.stderr)
                self.assertTrue(done.stderr)

    def test_block_of_the_program(self, mode):
        """Flips all over the blocks: the program fails or is right, it never prints anything else
        or crashes."""
        original = Bundle()
        last = original.index_offset - original.image_offset - 64
        outcomes = set()
        for step in range(12):
            bundle = Bundle()
            bundle.flip(bundle.image_offset + 64 + last * step // 12, step % 8)
            with self.clean():
                done = support.run([bundle.path, CODE], mode=mode, timeout=10)
            outcomes.add(done.returncode)
            self.assertEqual(
                done.stdout, "fine\n" if done.returncode == 0 else "", f"flip {step}: {done.stderr}"
            )
            shutil.rmtree(bundle.path.parent)
        self.assertTrue(outcomes <= {0, 1, 125}, outcomes)

    def test_truncated(self, mode):
        for cut in ("one", "trailer", "index", "half", "image"):
            bundle = Bundle()
            length = {
                "one": bundle.size - 1,
                "trailer": bundle.size - 384,
                "index": bundle.index_offset + 100,
                "half": bundle.image_offset + bundle.image_size // 2,
                "image": bundle.image_offset + 64,
            }[cut]
            os.truncate(bundle.path, length)
            with self.subTest(cut=cut):
                self.refuses([bundle.path, CODE], mode, f"{bundle.size - length}", "bytes")
            shutil.rmtree(bundle.path.parent)

    def test_only_the_runtime_is_left(self, mode):
        bundle = Bundle()
        os.truncate(bundle.path, bundle.runtime_size)
        self.refuses([bundle.path, CODE], mode)

    def test_bytes_appended(self, mode):
        bundle = Bundle()
        with open(bundle.path, "ab") as file:
            file.write(b"x" * 77)
        self.refuses([bundle.path, CODE], mode, "77")

    def test_truncated_while_it_runs(self, mode):
        """Where the kernel allows that at all: errors, no crash of the server, nothing left."""
        bundle = Bundle()
        code = (
            "print('ready', flush=True); sys.stdin.read()\n"
            "try:\n  import lab_lazy.m199; result = 0\n"
            "except (OSError, ImportError) as error: result = 40"
        )
        import subprocess

        with self.clean(), support.start(
            [bundle.path, code], mode=mode, stdin=subprocess.PIPE, text=True, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            try:
                os.truncate(bundle.path, bundle.image_offset + 64)
            except OSError:  # ETXTBSY
                pass
            process.communicate(timeout=10)
            self.assertIn(process.returncode, (0, 40))


class TestInterpreter(BadCase):
    """The interpreter that the bundle names is not there, or another version than it was built
    for."""

    def claiming(self, version):
        """A Python that claims to be another version when the builder asks it."""
        python = support.unique_dir() / "python3"
        tag = "cpython-" + version.replace(".", "")
        edit = f"s/cpython-311/{tag}/g; s/3\\.11\\.[0-9]*/{version}.1/g; s/3\\.11/{version}/g"
        edit += f"; $s|.*|{python}|"  # sys.executable
        # Edits the answer to the builder's question about the version, not what compiles haft's own
        # modules.
        python.write_text(
            f'#!/bin/sh\ncase "$*" in\n*haft-answer*) {support.PYTHON} "$@" | sed \'{edit}\';;\n'
            f'*) exec {support.PYTHON} "$@";;\nesac\n'
        )
        python.chmod(0o755)
        return python

    def bundle(self, python):
        return support.build(
            support.lab_tree(),
            "-c",
            "lab",
            "-p",
            python,
            "--no-compile",
            "--name",
            "lab",
            output=support.unique_dir() / "lab",
        )

    def test_another_of_the_same_version_will_do(self, mode):
        python = support.unique_dir() / "python3"
        python.symlink_to(support.PYTHON)
        bundle = self.bundle(python)
        for _ in ("there", "gone"):
            with self.clean():
                self.assertEqual(
                    support.run([bundle, CODE], mode=mode, check=True).stdout, "fine\n"
                )
            python.unlink(missing_ok=True)

    def test_missing(self, mode):
        python = self.claiming("3.77")
        bundle = self.bundle(python)
        self.assertIn("3.77", str(support.info(bundle)["python"]))
        python.unlink()
        self.refuses([bundle, CODE], mode, f"'{python}'", "3.77")

    def test_not_executable(self, mode):
        python = self.claiming("3.77")
        bundle = self.bundle(python)
        python.chmod(0o644)
        self.refuses([bundle, CODE], mode, f"'{python}'", "3.77", status=(125, 126))

    def test_wrong_version_names_both(self, mode):
        """Built for 3.77; now it is 3.11, as the name of the file tells."""
        python = self.claiming("3.77")
        bundle = self.bundle(python)
        python.unlink()
        python.symlink_to(support.PYTHON)
        self.refuses([bundle, CODE], mode, f"'{python}'", "3.77", "3.11")

    def test_wrong_version_that_only_running_it_shows(self, mode):
        python = self.claiming("3.77")
        bundle = self.bundle(python)
        python.write_text(f'#!/bin/sh\nexec {support.PYTHON} "$@"\n')
        self.refuses([bundle, CODE], mode, "3.77", "3.11")


@unittest.skipIf(os.geteuid(), "needs root")
class TestWithoutFuse(BadCase):
    def within(self, prepare, mode):
        """The command that runs the lab in a mount namespace changed by `prepare`."""
        command = ["env", f"HAFT_MODE={mode}", str(support.lab()), CODE]
        command = [*support.user_in(mode).drop(), *command]
        return ["unshare", "-m", "sh", "-c", f"{prepare} && exec {shlex.join(command)}"]

    def test_no_device(self, mode):
        empty = support.unique_dir(mode=0o755)
        prepare = (
            f"mount -t tmpfs none {empty} && chmod 755 {empty} && for d in null zero tty "
            f"urandom; do touch "
            f"{empty}/$d && mount --bind /dev/$d {empty}/$d; done && mount --rbind {empty} /dev"
        )
        self.refuses(self.within(prepare, mode), None, "/dev/fuse")

    def test_device_is_something_else(self, mode):
        self.refuses(self.within("mount --bind /dev/null /dev/fuse", mode), None, "/dev/fuse")

    def test_device_not_allowed(self):
        node = support.unique_dir() / "fuse"
        os.mknod(node, 0o020600, os.makedev(10, 229))
        self.refuses(
            self.within(f"mount --bind {node} /dev/fuse", "userns"),
            None,
            "/dev/fuse",
            "Permission denied",
        )

    def test_forced_mode_that_cannot_be(self):
        """HAFT_MODE=namespace for an ordinary user, and a mode that does not exist."""
        for value in ("namespace", "nonsense"):
            with self.clean():
                done = support.run(
                    [support.lab(), CODE], mode="userns", env=support.clean_env(HAFT_MODE=value)
                )
            self.assertEqual(done.returncode, 125)
            self.assertOneLine(done.stderr, value, start=("haft: ", "lab: "))

    def test_no_user_namespaces(self):
        """user.max_user_namespaces=0, set inside a user namespace of the test's own."""
        script = (
            f"echo 0 >/proc/sys/user/max_user_namespaces && exec "
            f"{shlex.join([str(support.lab()), CODE])}"
        )
        with self.clean():
            done = support.run(
                ["unshare", "-r", "sh", "-c", script], env=support.clean_env(HAFT_MODE="userns")
            )
        self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
        self.assertOneLine(done.stderr, "user namespace", start=("haft: ", "lab: "))
