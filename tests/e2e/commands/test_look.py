"""The haft command itself: help with examples, usage errors, and what it says about a bundle."""

import json

import support

VERBS = (
    "build",
    "run",
    "exec",
    "shell",
    "mount",
    "umount",
    "ls",
    "cat",
    "info",
    "verify",
    "extract",
)


class TestCommand(support.TestCase):
    def test_help_lists_the_verbs(self):
        said = support.haft("--help").stdout
        for verb in VERBS:
            self.assertIn(verb, said)

    @support.parametrised(verb=VERBS)
    def test_help_of_a_verb_shows_an_example(self, verb):
        done = support.haft(verb, "--help")
        self.assertRegex(done.stdout, rf"(?m)^ *\$? *haft {verb} ")
        self.assertRegex(done.stdout, "(?i)example")
        self.assertEqual(done.stderr, "")

    def test_version(self):
        self.assertRegex(support.haft("--version").stdout, r"^haft \d+\.\d+\.\d+")

    @support.parametrised(arguments=["nonsense", "ls", "cat", "info --nonsense x", "mount x"])
    def test_usage_errors(self, arguments):
        done = support.haft(*arguments.split(), check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertTrue(done.stderr.startswith("haft: "), done.stderr)

    def test_no_arguments_is_a_usage_error_with_help(self):
        done = support.haft(check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage: haft", done.stdout + done.stderr)

    @support.parametrised(verb=["ls", "info", "verify", "cat"])
    def test_not_a_bundle(self, verb):
        for file, why in (
            ("/no/such/file", "No such file"),
            ("/etc/passwd", ""),
            ("/dev/null", ""),
        ):
            done = support.haft(verb, file, *(["x"] if verb == "cat" else []), check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertOneLine(done.stderr, f"'{file}'", why)

    def test_info(self):
        about = support.info(support.lab())
        self.assertLessEqual(
            {"name", "image_id", "image_offset", "image_size", "files", "bytes", "entry", "python"},
            set(about),
        )
        self.assertEqual(about["name"], "lab")
        entry = about["entry"]
        self.assertEqual(
            (entry["script"], entry["module"], entry["function"]), ("lab", "lab", "main")
        )
        self.assertIn("3.11", json.dumps(about["python"]))
        self.assertEqual(about["image_offset"] + about["image_size"], support.lab().stat().st_size)
        self.assertIn("lab", support.haft("info", support.lab()).stdout)

    def test_info_tells_which_libraries_are_in_the_runtime(self):
        """After a fault in one of them the bundles to build anew can be found."""
        about = support.info(support.lab())["libraries"]
        self.assertLessEqual({"lz4", "zstd", "libfuse", "glibc", "libstdc++"}, set(about))
        for name, version in about.items():
            self.assertRegex(version, r"^[0-9]")
            self.assertIn(f"{name} {version}", support.haft("info", support.lab()).stdout)

    def test_cat_and_ls(self):
        bundle = support.lab()
        self.assertEqual(
            support.haft("cat", bundle, "site-packages/lab_data/text.txt").stdout,
            "text of the lab\n",
        )
        self.assertEqual(
            support.haft("ls", bundle, "site-packages/lab_data").stdout.split(),
            ["big.bin", "empty", "text.txt"],
        )
        done = support.haft("cat", bundle, "site-packages/nothing", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, "'site-packages/nothing'", "no such file")

    def test_verify_says_fine(self):
        done = support.haft("verify", support.lab())
        self.assertEqual(done.stderr, "")

    def test_debug_log_tells_each_step(self, mode):
        with self.clean():
            done = support.run(
                [support.lab(), "result = 3"], mode=mode, env=support.clean_env(HAFT_LOG="debug")
            )
        self.assertEqual(done.returncode, 3)
        self.assertGreater(len(done.stderr.splitlines()), 3)

    @support.parametrised(value=["dbug", "1", ""])
    def test_log_level_that_is_unknown_is_told(self, value):
        done = support.run([support.lab(), "result = 3"], env=support.clean_env(HAFT_LOG=value))
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        if value:
            self.assertOneLine(done.stderr, f"HAFT_LOG '{value}'", "'debug'")
        else:
            self.assertEqual(done.stderr, "")

    def test_interpreter_of_haft_run_that_is_not_there(self):
        """The message was about a variable that nobody had set."""
        done = support.run([support.HAFT, "run", "-p", "no-python", support.lab(), "x"])
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "interpreter 'no-python': not found in PATH", "-p")
