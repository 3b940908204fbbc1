"""The test library itself: would it notice?"""

import contextlib
import io
import json
import os
import re
import subprocess
import unittest
from unittest import mock

import run
import worker

import support
from support import suite, tools


class TestHarness(support.TestCase):
    def test_user_command_keeps_its_pid(self, mode):
        with support.start(
            ["/bin/sh", "-c", "echo $$; id -u; test -w /dev/fuse && echo fuse"],
            mode=mode,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            pid, uid, _fuse = process.stdout.read().split()
        self.assertEqual(int(pid), process.pid)
        self.assertEqual(int(uid), support.user_in(mode).uid)

    @unittest.skipUnless(
        os.environ.get("E2E_ISOLATED"), "has an account in an isolated worker only"
    )
    def test_ordinary_user_has_an_account_groups_and_a_home(self):
        code = (
            'id -un; id -G; id -Gn; cd && pwd && touch file && stat -c "%U %G %a" . file; '
            'echo "$USER $LOGNAME"; getent passwd "$USER" | cut -d: -f6'
        )
        done = support.run(["sh", "-c", f"umask 022; {code}"], mode="userns", check=True)
        home = support.PERSON.home()
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "person",
                "1729 100 1730 1731",
                "person users authors e2e-readers",
                str(home),
                "person person 700",
                "person person 644",
                "person person",
                str(home),
            ],
        )
        as_root_makes_him = support.run(
            ["su", "-s", "/bin/sh", "person", "-c", "id -G"], check=True
        )
        self.assertEqual(as_root_makes_him.stdout, "1729 100 1730 1731\n")

    def test_user_who_is_a_number_has_no_more_than_that(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        done = support.run(["sh", "-c", "id -u; id -G"], mode="number", check=True)
        self.assertEqual(done.stdout, "65534\n65534\n")

    def test_clean_environment(self):
        names = set(support.clean_env())
        self.assertFalse(
            [
                name
                for name in names
                if name.startswith(("PYTHON", "HAFT", "LD_")) and name != "HAFT_INDEX"
            ],
            names,
        )

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_mount_change_is_noticed(self):
        directory = support.unique_dir()
        with self.assertRaisesRegex(AssertionError, "changed in between"), self.clean():
            subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
            subprocess.run(["umount", directory], check=True)

    def test_process_left_is_noticed(self):
        """A process named haft-server, as a stand-in for one of ours."""
        code = (
            "open('/proc/self/comm', 'w').write('haft-server'); print(1, flush=True); import "
            "time; time.sleep(60)"
        )
        with self.assertRaisesRegex(AssertionError, "haft-server"), self.clean(timeout=0.1):
            process = support.start([support.PYTHON, "-c", code], stdout=subprocess.PIPE)
            process.stdout.readline()
        process.kill()  # Clean has done it in an isolated worker
        process.communicate()

    def test_time_out(self):
        with self.assertRaisesRegex(AssertionError, "no end within"):
            support.run(["/bin/sleep", "30"], timeout=0.2)


class TestTrees(support.TestCase):
    @support.parametrised(package=[name.replace("-", "_") for name in support.TREES])
    def test_tree_is_pip_style(self, package):
        root = support.tree(package.replace("_", "-"))
        self.assertTrue(list(root.glob("*-info")), "metadata directories")
        self.assertFalse(list(root.rglob("__pycache__")))
        for path in root.rglob("*"):
            if path.is_symlink():
                self.assertTrue(path.resolve().is_relative_to(root.resolve()), path)

    def test_missing_package_is_one_line(self):
        tool = support.REPO / "tools" / "debian_tree.py"
        done = support.run(
            [support.PYTHON, tool, "no-such-package", "-o", support.unique_dir() / "t"]
        )
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, "no-such-package", start="debian_tree: ")

    def test_same_packages_same_tree(self):
        def listing(root):
            found = []
            for path in sorted(root.rglob("*")):
                status = path.lstat()
                content = (
                    os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
                )
                found.append((path.relative_to(root), status.st_mode, status.st_mtime_ns, content))
            return found

        again = support.unique_dir() / "again"
        support.trees.debian_tree.make_tree(["python3-flask"], again)
        self.assertEqual(listing(support.tree("python3-flask")), listing(again))


class TestWorker(support.TestCase):
    def results(self, case):
        """The lines of TAP of a class of tests."""
        tests = list(unittest.defaultTestLoader.loadTestsFromTestCase(case))
        tap = io.StringIO()
        result = worker.TapResult(tap, tests)
        unittest.TestSuite(tests).run(result)
        return result.finish(), re.findall(r"(?m)^(?:not )?ok .*", tap.getvalue())

    def test_skip_after_a_failure_stays_a_failure(self):
        class Case(unittest.TestCase):
            def test_part(self):
                with self.subTest("first"):
                    self.fail("wrong")
                self.skipTest("no more of it here")

        passed, (line,) = self.results(Case)
        self.assertFalse(passed)
        self.assertRegex(line, r"^not ok 1 ")

    def test_missing_tool_is_a_skip_or_where_all_are_required_a_failure(self):
        with mock.patch.dict(tools.TOOLS, {"no-such-tool": "no-such-package"}):

            @tools.needs("no-such-tool")
            class Case(unittest.TestCase):
                def test_class(self):
                    pass

            class Single(unittest.TestCase):
                @tools.needs("no-such-tool")
                def test_one(self):
                    pass

        for case in (Case, Single):
            for required, expected in (("", "^ok .*# SKIP needs no-such-tool"), ("1", "^not ok ")):
                with mock.patch.dict(os.environ, E2E_REQUIRE_TOOLS=required):
                    self.assertRegex(self.results(case)[1][0], expected)


class TestRunner(support.TestCase):
    def test_pattern_that_matches_nothing_is_an_error(self):
        command = [support.PYTHON, support.REPO / "tests/e2e/run.py", "--list"]
        done = support.run([*command, "-k", "test_exit", "-k", "no_such_test"])
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertOneLine(done.stderr, "no_such_test", "matches no test", start="run.py: ")

    def test_reasons_of_skipped_tests_are_added_up(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run.print_skipped({"a.b": "needs root", "a.c": "no cgroup", "a.d": "needs root"})
        self.assertEqual(
            out.getvalue(), "skipped, needs root: a.b and 1 more\nskipped, no cgroup: a.c\n"
        )


class TestFlaky(support.TestCase):
    def test_flaky_test_has_failed_unless_the_list_has_a_reason(self):
        known = support.unique_dir() / "known.json"
        record = known.with_name("flaky.json")
        for reason, failed in (({}, ["a.b.c"]), ({"a.b.c": "the clock of the host"}, [])):
            known.write_text(json.dumps(reason))
            results = run.Run(quiet=True)
            results.failed["a.b.c"] = "too late"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                run.judge(results, {"a.b.c": "too late"}, record, known)
            self.assertEqual(list(results.failed), failed)
            self.assertEqual(json.loads(record.read_text())["a.b.c"]["first"], "too late")
            self.assertOneLine(out.getvalue(), "a.b.c", *reason.values(), start="flaky, ")

    def test_list_names_tests_that_exist_and_says_why(self):
        for name, reason in json.loads(run.KNOWN.read_text()).items():
            found = suite.tests("/".join(name.split(".")[:2]), [f"{name}$"])
            self.assertEqual([test.id() for test in found], [name])
            self.assertGreater(len(reason), 10, name)


class TestDocument(support.TestCase):
    def test_tests_that_the_table_of_scenarios_names_exist(self):
        """Every `FOLDER.test_…` of docs/testing.md is a file, class or method (or the beginning
        of one)."""
        text = (support.REPO / "docs/testing.md").read_text()
        names = re.findall(r"`(\w+\.test_[\w.]+)`", text)
        self.assertEqual(re.findall(r"`test_\w+", text), [], "without its folder")
        self.assertGreater(len(names), 80)
        wrong = []
        for name in names:
            folder, file, *parts = name.split(".")
            if f"{folder}/{file}" not in suite.files():
                wrong.append(name)
                continue
            found = suite.module(f"{folder}/{file}")
            for part in parts:
                found = next(
                    (
                        getattr(found, member)
                        for member in dir(found)
                        if member == part or (part.startswith("test") and member.startswith(part))
                    ),
                    None,
                )
            if found is None:
                wrong.append(name)
        self.assertEqual(wrong, [])
