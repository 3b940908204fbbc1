"""Bad input to `haft build`: one line, a non-zero status, no file left. And a builder that is
killed."""

import os
import random
import shlex
import signal
import subprocess
import time
import unittest

import support

SECONDS = 30

FILES = {
    "app.py": "def main():\n    print('app')\n",
    "app-1.dist-info/entry_points.txt": "[console_scripts]\nserve = app:main\n"
    "serve-all = app:main\nMigrate = app:main [x]\n",
}


class BuildCase(support.TestCase):
    def setUp(self):
        self.out = support.unique_dir("out")
        self.site = support.write_tree(support.unique_dir("site"), FILES)

    def fails(self, *arguments, output=None, status=1, parts=(), **options):
        """The build fails with one line and leaves nothing; returns the line."""
        output = output or self.out / "app"
        done = support.haft("build", *arguments, "-o", output, check=False, **options)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertOneLine(done.stderr, *parts)
        self.assertEqual(os.listdir(self.out), [])
        return done.stderr

    def site_args(self, *entry):
        return ("--site-packages", self.site, *(entry or ("-c", "serve")))


class TestBadInput(BuildCase):
    def test_good_input_works(self):
        done = support.haft("build", *self.site_args(), "-o", self.out / "app")
        self.assertEqual(done.stderr, "")
        self.assertEqual(os.listdir(self.out), ["app"])
        self.assertEqual(support.run([self.out / "app"], check=True).stdout, "app\n")

    def test_missing_site_packages(self):
        self.fails(
            "--site-packages",
            "/no/such/dir",
            "-c",
            "serve",
            parts=["'/no/such/dir'", "No such file"],
        )

    def test_site_packages_is_a_file(self):
        self.fails(
            "--site-packages", self.site / "app.py", "-c", "serve", parts=["app.py'", "irectory"]
        )

    def test_second_site_packages_missing(self):
        self.fails(*self.site_args(), "--site-packages", "/no/such/dir", parts=["'/no/such/dir'"])

    def test_mount_path_that_hides_the_host(self):
        """Was built, and failed at the start."""
        for path in ("/usr", "/etc", "/run", "/usr/lib"):
            self.fails(
                *self.site_args(),
                "--mount-at",
                path,
                status=2,
                parts=["--mount-at", f"'{path}'", "every host"],
            )

    def test_interpreter_that_is_none(self):
        """ls complained about our question, and the message quoted it."""
        line = self.fails(
            *self.site_args(),
            "-p",
            "/bin/ls",
            parts=["'/bin/ls': exit status 2;", "needs a Python interpreter"],
        )
        self.assertNotIn("import", line)

    def test_profile_that_is_not_there(self):
        self.assertEqual(
            self.fails(*self.site_args(), "--profile-from", "/no/profile"),
            "haft: --profile-from: '/no/profile': No such file or directory\n",
        )

    def test_unknown_console_script(self):
        line = self.fails(
            *self.site_args("-c", "servr"), parts=["'servr'", "serve", "serve-all", "Migrate"]
        )
        self.assertRegex(line, r"did you mean '?serve'?\b")

    def test_console_script_in_a_tree_without_any(self):
        bare = support.write_tree(support.unique_dir(), {"app.py": ""})
        self.fails("--site-packages", bare, "-c", "serve", parts=["'serve'"])

    def test_unknown_module(self):
        self.fails(*self.site_args("-m", "no_such_module"), parts=["no_such_module"])

    @support.parametrised(option=["--bundle-python", "--isolated"])
    def test_module_that_only_the_host_has(self, option):
        """The start sees nothing of the host's packages then: the bundle could never have
        started."""
        made = support.unique_dir() / "app"
        support.build(self.site, "-m", "pip", output=made)
        for words in (["-m", "pip"], ["-e", "pip:main"]):
            self.fails(
                *self.site_args(*words),
                option,
                parts=["'pip'", "neither in the inputs nor in the standard library"],
            )
        support.build(self.site, "-m", "json.tool", option, output=made)

    def test_unknown_module_of_a_function(self):
        self.fails(*self.site_args("-e", "no_such_module:main"), parts=["no_such_module"])

    def test_function_that_is_not_there_is_told(self):
        """The bundle is made (the module may have it elsewhere), and the warning does not say that
        it works."""
        for entry, why in (
            ("app:mian", "no attribute 'mian'"),
            ("app.nope:main", "No module named 'app.nope'"),
        ):
            done = support.haft("build", *self.site_args("-e", entry), "-o", self.out / "app")
            self.assertOneLine(done.stderr, "profile", why, "a start fails in the same way")

    def test_profile_that_is_none(self):
        for text in ("{}", '{"traceEvents": []}'):
            (self.site.parent / "no-profile").write_text(text)
            self.fails(
                *self.site_args(),
                "--profile-from",
                self.site.parent / "no-profile",
                parts=["files"],
            )

    @support.parametrised(entry=["app:", ":main", "a-b:main", "a b"])
    def test_malformed_function(self, entry):
        done = support.haft(
            "build", *self.site_args("-e", entry), "-o", self.out / "app", check=False
        )
        self.assertIn(done.returncode, (1, 2))
        self.assertOneLine(done.stderr, entry)
        self.assertEqual(os.listdir(self.out), [])

    @support.parametrised(
        entry=["-c serve -m app", "-m app -x /bin/true", "-e app:main -x /bin/true"]
    )
    def test_more_than_one_entry(self, entry):
        self.fails("--site-packages", self.site, *entry.split(), status=2)

    def test_no_site_packages_at_all(self):
        self.fails("-m", "app", status=2, parts=["--site-packages", "pip"])

    def test_unknown_option(self):
        self.fails(*self.site_args(), "--nonsense", status=2, parts=["nonsense"])

    def test_mistyped_option(self):
        self.fails(
            *self.site_args(),
            "--consol-script=x",
            status=2,
            parts=["did you mean '--console-script'?"],
        )

    def test_no_output(self):
        done = support.haft("build", *self.site_args(), check=False)
        self.assertEqual(done.returncode, 2)
        self.assertOneLine(done.stderr, "-o")

    @support.parametrised(
        python=["/no/such/python3", "/bin/true", "/bin/false", "/etc/passwd", "/usr"]
    )
    def test_not_a_python(self, python):
        self.fails(*self.site_args(), "-p", python, parts=[f"'{python}'"])

    def test_interpreter_is_too_old(self):
        fake = support.unique_dir() / "python2"
        fake.write_text("#!/bin/sh\necho 'SyntaxError: invalid syntax' >&2\nexit 1\n")
        fake.chmod(0o755)
        self.fails(*self.site_args(), "-p", fake, parts=["python2'"])

    @unittest.skipIf(os.geteuid() == 0 and len(support.MODES) == 1, "needs an ordinary user")
    def test_unreadable_input(self):
        (self.site / "app.py").chmod(0)
        self.out.chmod(0o777)
        self.fails(*self.site_args(), mode="userns", parts=["app.py'", "Permission denied"])

    def test_special_file_in_the_tree(self):
        """A socket or a fifo in a site-packages directory: refused or left out, but never waited
        for."""
        os.mkfifo(self.site / "pipe")
        done = support.haft(
            "build", *self.site_args(), "-o", self.out / "app", check=False, timeout=30
        )
        if done.returncode:
            self.assertOneLine(done.stderr, "pipe'")
            self.assertEqual(os.listdir(self.out), [])


class TestBadOutput(BuildCase):
    def test_unwritable_directory(self):
        self.out.chmod(0o555)
        self.fails(*self.site_args(), mode="userns", parts=[f"{self.out}", "Permission denied"])

    def test_missing_directory(self):
        self.fails(
            *self.site_args(),
            output=self.out / "no/app",
            parts=[f"'{self.out}/no/app': no such directory '{self.out}/no'; create it"],
        )

    def test_output_is_a_directory(self):
        directory = support.unique_dir()
        self.fails(*self.site_args(), output=directory, parts=[f"'{directory}'"])
        self.assertEqual(os.listdir(directory), [])

    def test_output_inside_a_file(self):
        self.fails(*self.site_args(), output=self.site / "app.py" / "app", parts=["app.py"])

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_full_disk(self):
        (self.site / "noise.bin").write_bytes(os.urandom(3 << 20))
        old = self.out / "app"
        for prepare, left in (("true", ""), (f"echo old >{old}", "app\n")):
            command = shlex.join(map(str, [support.HAFT, "build", *self.site_args(), "-o", old]))
            script = (
                f"mount -t tmpfs -o size=1m none {self.out} || exit 99; {prepare}; {command}; "
                f"status=$?; "
                f"ls -A {self.out}; exit $status"
            )
            with self.clean():
                done = support.run(["unshare", "-m", "sh", "-c", script])
            self.assertEqual((done.returncode, done.stdout), (1, left), done.stderr)
            self.assertOneLine(done.stderr, "No space left on device", str(self.out))

    def test_file_size_limit(self):
        """RLIMIT_FSIZE comes with a deadly SIGXFSZ; the outcome has to be the same as of a full
        disk."""
        import resource

        (self.site / "noise.bin").write_bytes(os.urandom(5 << 20))

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))

        done = support.haft(
            "build", *self.site_args(), "-o", self.out / "app", check=False, preexec_fn=limit
        )
        if done.returncode >= 0:
            self.assertEqual(done.returncode, 1)
            self.assertOneLine(done.stderr, "File too large")
            self.assertEqual(os.listdir(self.out), [])
        self.assertNotIn("app", os.listdir(self.out))

    def test_old_output_is_replaced(self):
        output = self.out / "app"
        output.write_text("old")
        output.chmod(0o600)
        support.haft("build", *self.site_args(), "-o", output)
        self.assertEqual(support.run([output], check=True).stdout, "app\n")
        self.assertEqual(os.listdir(self.out), ["app"])

    def test_old_output_survives_a_failure(self):
        output = self.out / "app"
        output.write_text("old")
        for arguments in (self.site_args("-c", "no"), ("--site-packages", "/no/such", "-m", "app")):
            self.assertNotEqual(
                support.haft("build", *arguments, "-o", output, check=False).returncode, 0
            )
            self.assertEqual(output.read_text(), "old")
            self.assertEqual(os.listdir(self.out), ["app"])

    def test_mode_of_the_output(self):
        for umask, mode in ((0o022, 0o755), (0o077, 0o700), (0o027, 0o750)):
            output = self.out / f"app-{umask:o}"
            support.haft(
                "build", *self.site_args(), "-o", output, preexec_fn=lambda: os.umask(umask)
            )
            self.assertEqual(output.stat().st_mode & 0o7777, mode)


class TestKilledBuilder(BuildCase):
    def assert_nothing_left_of(self, session):
        """Its workers, which are Pythons, end with the builder."""
        gone = support.wait_until(lambda: not support.processes_of(session), 10)
        left = {pid: support.process_name(pid) for pid in support.processes_of(session)}
        support.running.kill_session(session)
        self.assertTrue(gone, f"outlive the builder: {left}")

    def test_old_output_stays_intact(self):
        """kill -9 at random moments: the output is the old bundle or the whole new one, never
        anything else."""
        output = self.out / "flask"
        site = support.tree("python3-flask")
        began = time.monotonic()
        support.build(site, "-m", "flask", output=output)
        duration = time.monotonic() - began
        whole = output.read_bytes()
        dice = random.Random(20)
        killed = 0
        for _ in range(12):
            output.write_text("old")
            process = subprocess.Popen(
                [support.HAFT, "build", "--site-packages", site, "-m", "flask", "-o", output],
                env=support.clean_env(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(dice.uniform(0, duration * 1.05))
            process.kill()
            killed += process.wait() == -signal.SIGKILL
            self.assert_nothing_left_of(process.pid)
            self.assertIn(output.read_bytes(), (b"old", whole))
        self.assertGreater(killed, 3)
        support.build(site, "-m", "flask", output=output)
        self.assertEqual(output.read_bytes(), whole)
        self.assertEqual(os.listdir(self.out), ["flask"], "left by the killed builders")

    @support.parametrised(name=["SIGTERM", "SIGINT", "SIGHUP"])
    def test_polite_end_leaves_nothing(self, name):
        """Ctrl-C: ends by that signal or with a status, and takes its temporary file and workers
        with it."""
        site = support.tree("python3-django")
        command = [
            support.HAFT,
            "build",
            "--site-packages",
            site,
            "-m",
            "django",
            "-o",
            self.out / "d",
        ]
        process = support.start(command, stderr=subprocess.PIPE, start_new_session=True, text=True)
        has_worker = lambda: len(support.processes_of(process.pid)) > 1  # noqa: E731
        self.assertTrue(support.wait_until(has_worker, 20, 0.001), "there was never a worker")
        os.killpg(process.pid, getattr(signal, name))
        process.communicate(timeout=10)
        self.assertNotEqual(process.returncode, 0)
        self.assert_nothing_left_of(process.pid)
        self.assertEqual(os.listdir(self.out), [])
