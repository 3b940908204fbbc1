"""Scenarios 13 and 23: under which name a bundle is started, and with how much. More:
test_inherit.TestArguments."""

import errno
import os
import resource
import shutil
import subprocess

import support

SECONDS = 20

SHOW = "print(ascii([sys.argv[0], *sys.argv[2:]]))"


class NameCase(support.TestCase):
    def argv(self, command, mode, *arguments, **options):
        """sys.argv of a lab without the code."""
        with self.clean():
            done = support.run([*command, SHOW, *arguments], mode=mode, check=True, **options)
        self.assertEqual(done.stderr, "")
        return eval(done.stdout)

    def copy(self, path):
        shutil.copy(support.lab(), path)
        return path


class TestNames(NameCase):
    """Scenario 13."""

    def test_from_PATH_while_another_lies_in_the_working_directory(self, mode):
        directory = support.unique_dir("cwd")
        other = directory / "lab"
        other.write_text("#!/bin/sh\necho wrong\n")
        other.chmod(0o755)
        env = support.clean_env(PATH=f"{support.lab().parent}:/usr/bin:/bin")
        self.assertEqual(self.argv(["lab"], mode, env=env, cwd=directory), [str(support.lab())])
        shutil.copy(support.code_app("wrong", "print('wrong')"), other)
        self.assertEqual(self.argv(["lab"], mode, env=env, cwd=directory), [str(support.lab())])

    @support.parametrised(
        name=[
            "with space",
            "ünïcode",
            "not-utf8-\udcff\udcfe",
            "-dash",
            "new\nline",
            "quote'\"$(x)",
            "percent%s",
            "x" * 250,
            "python3",
            "haft",
            "back\\slash",
            "a:b",
        ]
    )
    def test_odd_names(self, name, mode):
        directory = support.unique_dir("odd")
        path = self.copy(directory / name)
        self.assertEqual(self.argv([path], mode), [str(path)])
        self.assertEqual(self.argv([f"./{name}"], mode, cwd=directory), [f"./{name}"])

    def test_odd_directory(self, mode):
        directory = support.unique_dir("odd") / "a:b c%d\udcfe\n/deeper: PYTHONPATH=x"
        directory.mkdir(parents=True)
        path = self.copy(directory / "lab")
        self.assertEqual(self.argv([path], mode), [str(path)])

    def test_path_of_nearly_4000_bytes(self, mode):
        top = support.unique_dir("deep")
        parts = (4000 - len(str(top))) // 201
        handle = os.open(top, os.O_RDONLY)
        for _ in range(parts):
            os.mkdir("d" * 200, dir_fd=handle)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
            os.close(handle)
            handle = below
        with open(os.open("lab", os.O_WRONLY | os.O_CREAT, 0o755, dir_fd=handle), "wb") as file:
            file.write(support.lab().read_bytes())
        os.close(handle)
        path = str(top) + ("/" + "d" * 200) * parts + "/lab"
        self.assertGreater(len(path), 3800)
        self.assertEqual(self.argv([path], mode), [path])

    def test_symbolic_link_by_its_own_name(self, mode):
        """The base name of a link can be read by the program, as busybox does it."""
        directory = support.unique_dir("links")
        (directory / "first").symlink_to(support.lab())
        (directory / "second").symlink_to("first")
        for name in ("first", "second"):
            self.assertEqual(self.argv([directory / name], mode), [str(directory / name)])

    def test_started_from_memory(self, mode):
        """A bundle without a name in any file system: memfd_create and execveat."""
        code = (
            "import os, sys\n"
            "fd = os.memfd_create('in-memory')\n"
            "data = open(sys.argv[1], 'rb').read()\n"
            "while data: data = data[os.write(fd, data):]\n"
            f"os.execve(fd, ['in-memory', {SHOW!r}, 'x'], os.environ)"
        )
        with self.clean():
            done = support.run([support.PYTHON, "-c", code, support.lab()], mode=mode)
        self.assertEqual(
            (done.stdout, done.stderr, done.returncode), ("['in-memory', 'x']\n", "", 0)
        )

    def test_started_by_the_path_of_a_descriptor(self, mode):
        code = (
            "import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY); os.set_inheritable(fd, True)\n"
            f"os.execv(f'/proc/self/fd/{{fd}}', ['by path', {SHOW!r}])"
        )
        with self.clean():
            done = support.run([support.PYTHON, "-c", code, support.lab()], mode=mode)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("['by path']\n", "", 0))

    def test_started_by_descriptor_after_it_was_removed(self, mode):
        path = self.copy(support.unique_dir("removed") / "lab")
        code = (
            "import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY)\n"
            "print(open(sys.argv[1], 'rb').read(4)[1:])\n"
            f"sys.stdout.flush()\nos.execve(fd, ['removed', {SHOW!r}], os.environ)"
        )
        remove = code.replace("sys.stdout.flush()", "sys.stdout.flush(); os.unlink(sys.argv[1])")
        path.parent.chmod(0o777)
        with self.clean():
            done = support.run([support.PYTHON, "-c", remove, path], mode=mode)
        self.assertEqual(
            (done.stdout, done.stderr, done.returncode), ("b'ELF'\n['removed']\n", "", 0)
        )

    def test_no_argument_at_all(self, mode):
        """argv with nothing in it, not even a name: the kernel makes that one empty string."""
        code = (
            "import ctypes, sys; ctypes.CDLL(None).execv(sys.argv[1].encode(), "
            "(ctypes.c_char_p * 1)(None))"
        )
        with self.clean():
            done = support.run([support.PYTHON, "-c", code, support.lab()], mode=mode)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("", "", 0))

    def test_shown_by_ps(self, mode):
        """`ps` finds the program by the name of its bundle."""
        with self.clean(), support.start(
            [support.lab(), "print('ready', flush=True); sys.stdin.read()"],
            mode=mode,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            process.stdout.readline()
            shown = support.run(["ps", "-o", "args=", "-p", str(process.pid)], check=True).stdout
            process.stdin.close()
        self.assertIn(f"{support.lab()} ", shown)

    @support.parametrised(how=["interpreter", "env"])
    def test_shebang_names_the_bundle(self, how, mode):
        """#!/path/lab: the bundle gets the script's path as its argument, as every interpreter
        does."""
        directory = support.unique_dir("shebang")
        bundle = support.code_app("show", "import sys; print(sys.argv[1:])")
        script = directory / "script"
        script.write_text(
            {"interpreter": f"#!{bundle} option\n", "env": f"#!/usr/bin/env {bundle}\n"}[how]
        )
        script.chmod(0o755)
        with self.clean():
            done = support.run([script, "x"], mode=mode, check=True)
        self.assertEqual(eval(done.stdout), [*["option"][how == "env" :], str(script), "x"])


class TestAmounts(NameCase):
    """Scenario 23."""

    def test_one_variable_of_120_kilobytes(self, mode):
        env = support.clean_env(LARGE="x" * 120_000)
        with self.clean():
            done = support.run(
                [support.lab(), "print(len(os.environ['LARGE']))"], mode=mode, env=env
            )
        self.assertEqual((done.stdout, done.stderr), ("120000\n", ""))

    def test_PYTHONPATH_of_100_kilobytes(self, mode):
        other = support.write_tree(support.unique_dir("last"), {"at_the_end.py": "VALUE = 3\n"})
        path = (
            ":".join(f"/nonexistent/{number:04}{'x' * 180}" for number in range(520)) + f":{other}"
        )
        self.assertGreater(len(path), 100_000)
        code = "import at_the_end, lab_lazy.m5; print(at_the_end.VALUE, lab_lazy.m5.VALUE)"
        with self.clean():
            done = support.run(
                [support.lab(), code], mode=mode, env=support.clean_env(PYTHONPATH=path)
            )
        self.assertEqual((done.stdout, done.stderr), ("3 5\n", ""))

    def test_PYTHONPATH_that_leaves_no_room(self, mode):
        """The kernel's limit is 128 KiB for one string. With the bundle's directories in front it
        is exceeded."""
        path = "/" + "x" * (131_071 - len("PYTHONPATH=") - 2)
        self.assertEqual(support.run(["true"], env={"PYTHONPATH": path}).returncode, 0)
        with self.clean():
            done = support.run(
                [support.lab(), ""], mode=mode, env=support.clean_env(PYTHONPATH=path)
            )
        self.assertIn(done.returncode, (125, 126))
        self.assertOneLine(done.stderr, "Argument list too long", start=("haft: ", "lab: "))

    def test_argument_list_at_its_limit(self):
        """The most that the kernel lets through to the bundle is too much for the interpreter after
        it, whose command line is a little longer. That is said; a little less works."""
        stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
        if stack == resource.RLIM_INFINITY or stack > 64 << 20:
            self.skipTest("no limit of the stack, none of the arguments")
        many = ["y" * 100_000] * (stack // 4 // 100_100 - 1)

        def outcome(size):
            rest = ["z" * 1000] * (size // 1000) + ["z" * (size % 1000)]
            try:
                done = support.run(
                    [
                        support.lab(),
                        "print(len(sys.argv), sum(map(len, sys.argv[2:])))",
                        *many,
                        *rest,
                    ],
                    env={"A": "b"},
                )
            except OSError as error:
                self.assertEqual(error.errno, errno.E2BIG)
                return "kernel"
            if done.returncode == 0:
                self.assertEqual(
                    done.stdout, f"{len(many) + len(rest) + 2} {len(many) * 100_000 + size}\n"
                )
                return "program"
            self.assertEqual((done.returncode, done.stdout), (126, ""), done.stderr)
            self.assertOneLine(done.stderr, "Argument list too long", start=("haft: ", "lab: "))
            return "haft"

        most, refused = 0, 500_000  # the size that the kernel lets through, by halving
        with self.clean():
            self.assertEqual(outcome(most), "program")
            self.assertEqual(outcome(refused), "kernel")
            while refused - most > 1:
                middle = (most + refused) // 2
                if outcome(middle) == "kernel":
                    refused = middle
                else:
                    most = middle
            self.assertEqual(outcome(most), "haft")
            self.assertEqual(outcome(most - 1000), "program")

    def test_no_environment_at_all(self, mode):
        """env -i: not even PATH and HOME."""
        with self.clean():
            done = support.run([support.lab(), "print(sorted(os.environ))"], mode=mode, env={})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        # LC_CTYPE is set by Python itself, which coerces the C locale.
        expected = {"LC_CTYPE", "PYTHONPATH", "HAFT_BUNDLE"}
        if mode == "userns":
            expected.add("HAFT_MODE")  # asks for it
        self.assertLessEqual(set(eval(done.stdout)), expected)

    def test_environment_that_is_no_text(self, mode):
        """Variables without a name, without a value, twice, in no encoding, all reach the
        program."""
        entries = [
            b"=nameless",
            b"NOEQUALS",
            b"TWICE=1",
            b"TWICE=2",
            b"BYTES=\xff\xfe",
            b"PATH=/usr/bin:/bin",
            b"HAFT_MODE=!fusermount",
        ]
        code = (
            "import ctypes, sys\n"
            f"entries = {entries!r}\n"
            "array = lambda items: (ctypes.c_char_p * (len(items) + 1))(*items, None)\n"
            "lab = sys.argv[1].encode()\n"
            "ctypes.CDLL(None).execve(lab, array([lab, sys.argv[2].encode()]), array(entries))"
        )
        show = (
            "print(sorted(e for e in open('/proc/self/environ', 'rb').read().split(b'\\0') if "
            "b'haft' not in e))"
        )
        with self.clean():
            done = support.run(
                [support.PYTHON, "-c", code, support.lab(), show], mode=mode, check=True
            )
        shown = eval(done.stdout)
        for entry in entries:
            self.assertIn(entry, shown)
