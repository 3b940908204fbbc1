"""haft bench: what it reports follows from what it measured, and nothing stays behind."""

import glob
import json
import os
import random
import shutil
import signal as signals
import statistics
import subprocess
import time
import unittest

import support
from support.browser import open_page
from support.tools import needs

SECONDS = 25

APP = {
    "benched/__init__.py": "",
    "benched/data.txt": "data",
    "benched/main.py": """\
import os
import subprocess
import sys


def main():
    import benched.other
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode == "fail":
        sys.exit("it fails")
    if mode == "linger":
        subprocess.Popen(["sleep", "60"])
    if mode == "wait":
        import time
        time.sleep(60)
    if mode == "where":
        print(__file__)
    if mode == "not unpacked" and not __file__.startswith("/run/haft/"):
        sys.exit(1)
""",
    "benched/other.py": "X = 1\n",
}


def app():
    return support.app("benched", APP, "-e", "benched.main:main")


class TestBench(support.TestCase):
    seconds = 120

    def setUp(self):
        self.out = support.unique_dir()

    def path(self, name):
        return os.path.join(self.out, name)

    def bench(self, *words, program=(), **options):
        return support.run(
            [support.HAFT, "bench", "--work", self.out, *words, app(), "--", *program],
            timeout=100,
            **options,
        )

    def report(self, *words, program=(), **options):
        done = self.bench(
            "--json", self.path("json"), *words, program=program, check=True, **options
        )
        with open(self.path("json"), encoding="utf-8") as file:
            return json.load(file), done.stdout

    def test_ratios_follow_from_the_samples(self):
        with self.clean():
            report, table = self.report("--rounds", "3", "--only", "pyz", program=["x"])
        results = {series["variant"]: series for series in report["results"]}
        self.assertEqual(list(results), ["bundle", "unpacked", "pyz"])
        for series in results.values():
            for name in ("wall_ms", "cpu_ms", "server_cpu_ms", "peak_mb", "server_peak_mb"):
                self.assertEqual(len(series[name]), 3)
            self.assertAlmostEqual(series["median_ms"], statistics.median(series["wall_ms"]))
            ratio = series["median_ms"] / results["unpacked"]["median_ms"]
            self.assertAlmostEqual(series["ratio"]["value"], ratio)
            self.assertLessEqual(series["ratio"]["low"], ratio)
            self.assertGreaterEqual(series["ratio"]["high"], ratio)
            self.assertIn(f"{series['median_ms']:.1f}", table)
        # The server is a process of its own, and only the bundle has one.
        self.assertTrue(all(peak > 0.5 for peak in results["bundle"]["server_peak_mb"]))
        self.assertEqual(results["unpacked"]["server_peak_mb"], [0, 0, 0])
        self.assertTrue(all(peak > 5 for peak in results["unpacked"]["peak_mb"]))
        self.assertEqual(report["arguments"], ["x"])
        self.assertEqual(os.listdir(self.out), ["json"])

    def test_several_at_once(self):
        report, table = self.report("--rounds", "2", "--only", "unpacked", "--parallel", "1,3")
        self.assertEqual(
            [(s["variant"], s["parallel"]) for s in report["results"]],
            [("bundle", 1), ("unpacked", 1), ("bundle", 3), ("unpacked", 3)],
        )
        self.assertIn("3 starts at once", table)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_images_of_others(self):
        for tool in ("squashfuse_ll", "mksquashfs", "mkfs.erofs"):
            self.assertTrue(shutil.which(tool), f"{tool} is missing")
        report, table = self.report("--rounds", "1", "--only", "squashfuse,kernel-erofs")
        self.assertEqual(
            [s["variant"] for s in report["results"]][:3], ["bundle", "unpacked", "squashfuse"]
        )
        self.assertGreater(report["results"][2]["server_peak_mb"][0], 0.5)
        if "kernel-erofs" not in table.replace(
            "kernel-erofs: left out: this kernel has no erofs", ""
        ):
            self.assertIn("no erofs", table)
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            self.assertNotIn(os.fspath(self.out), file.read())

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    @support.long_test  # empties the page cache of the whole machine
    def test_cold_page_cache(self):
        report, table = self.report(
            "--rounds",
            "2",
            "--only",
            "unpacked",
            "--cold",
            "--parallel",
            "1,8",
            "--check",
            "unpacked@cold@8<=1000",
        )
        self.assertEqual(
            [(s["variant"], s["cold"], s["parallel"]) for s in report["results"]],
            [
                (variant, cold, parallel)
                for cold in (False, True)
                for parallel in (1, 8)
                for variant in ("bundle", "unpacked")
            ],
        )
        self.assertIn("page cache dropped, 8 starts at once", table)
        self.assertRegex(table, r"unpacked@cold@8<=1000: .*kept")

    def test_as_an_ordinary_user(self):
        support.user_in("userns").own(self.out)
        done = support.run(
            [
                support.HAFT,
                "bench",
                "--work",
                self.out,
                "--rounds",
                "2",
                "--only",
                "unpacked",
                app(),
            ],
            mode="userns",
            timeout=100,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"bundle +\d")
        done = support.run([support.HAFT, "bench", "--cold", app()], mode="userns")
        self.assertEqual(
            (done.returncode, done.stderr),
            (1, "haft: --cold: only root may drop the page cache; start it as root\n"),
        )

    def test_other_output_is_noted(self):
        _, table = self.report("--rounds", "1", "--only", "unpacked", program=["where"])
        self.assertIn("unpacked: prints something else than the bundle", table)

    def test_killed_run_is_cleaned_up_by_the_next(self):
        work = support.unique_dir("work")
        command = [support.HAFT, "bench", "--work", work, "--only", "unpacked", "--rounds"]
        running = subprocess.Popen(
            [*command, "1000", app()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        support.wait_until(lambda: os.listdir(work))
        running.kill()
        running.wait()
        self.assertEqual(len(os.listdir(work)), 1)
        support.run([*command, "1", app()], check=True)
        self.assertEqual(os.listdir(work), [])

    @support.parametrised(signal=["INT", "TERM", "HUP"])
    def test_interrupted_run_leaves_nothing(self, signal):
        """Its directory had stayed until the next run, and what it had mounted too."""
        number = getattr(signals, "SIG" + signal)
        with self.clean(quiet_host=False):
            running = subprocess.Popen(
                [
                    support.HAFT,
                    "bench",
                    "--work",
                    self.out,
                    "--rounds",
                    "1000",
                    "--json",
                    self.path("json"),
                    "--only",
                    "unpacked,squashfuse,kernel-squashfs",
                    app(),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self.assertTrue(
                support.wait_until(
                    lambda: any(
                        os.path.exists(os.path.join(self.out, name, "0", "unpacked"))
                        for name in os.listdir(self.out)
                    )
                )
            )
            time.sleep(random.uniform(0, 1.5))
            if signal == "INT":
                os.killpg(running.pid, number)  # as a terminal does
            else:
                running.send_signal(number)
            _, errors = running.communicate(timeout=20)
        self.assertEqual((running.returncode, errors), (-number, ""))
        self.assertEqual(os.listdir(self.out), [])
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            self.assertNotIn(os.fspath(self.out), file.read())

    def test_preparations_are_interrupted(self):
        """A signal had been noticed when all forms were made; and their tools had gone on."""
        tools = support.unique_dir("tools")
        (tools / "shiv").write_text("#!/bin/sh\necho > $0.started\nexec sleep 60\n")
        (tools / "shiv").chmod(0o755)
        with self.clean():
            running = subprocess.Popen(
                [support.HAFT, "bench", "--work", self.out, "--only", "shiv,pex", app()],
                env=support.clean_env(PATH=f"{tools}:/usr/bin:/bin"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self.assertTrue(support.wait_until((tools / "shiv.started").exists, 20))
            running.send_signal(signals.SIGTERM)
            done = running.communicate(timeout=20)
        self.assertEqual((running.returncode, done), (-signals.SIGTERM, ("", "")))
        self.assertEqual(os.listdir(self.out), [])

    @support.parametrised(how=["namespace", "fusermount", "extract"])
    def test_a_program_that_does_not_end_is_interrupted(self, how):
        """Its supervisor and server had been killed with it: a dead mount or an unpacked copy
        stayed."""
        with self.clean(quiet_host=False):
            running = subprocess.Popen(
                [
                    support.HAFT,
                    "bench",
                    "--work",
                    self.out,
                    "--only",
                    "unpacked",
                    app(),
                    "--",
                    "wait",
                ],
                env=support.clean_env(HAFT_MODE=how),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            self.assertTrue(
                support.wait_until(
                    lambda: b"haft-" in subprocess.check_output(["ps", "-eo", "comm"])
                )
            )
            time.sleep(random.uniform(0, 0.5))
            running.send_signal(signals.SIGINT)
            _, errors = running.communicate(timeout=20)
        self.assertEqual((running.returncode, errors), (-signals.SIGINT, ""))
        self.assertFalse(glob.glob("/tmp/haft-0/benched*"))
        self.assertEqual(os.listdir(self.out), [])

    def test_missing_tools_are_noted(self):
        env = support.clean_env(PATH=self.out)
        _, table = self.report("--rounds", "1", "--only", "shiv,pex", env=env)
        self.assertRegex(table, r"shiv: left out: .*not installed")

    def test_limits(self):
        done = self.bench(
            "--rounds",
            "1",
            "--only",
            "unpacked",
            "--check",
            "unpacked<=1000",
            "--check",
            "server-memory<=1000",
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        done = self.bench(
            "--rounds",
            "1",
            "--only",
            "unpacked",
            "--check",
            "unpacked<=1000",
            "--check",
            "unpacked<=0.001",
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("MISSED", done.stdout)
        self.assertEqual(done.stderr, "")

    def test_warnings(self):
        _, table = self.report(
            "--rounds",
            "1",
            "--only",
            "unpacked",
            env=support.clean_env(PYTHONDONTWRITEBYTECODE="1"),
        )
        self.assertIn("warning: PYTHONDONTWRITEBYTECODE is set", table)

    def test_errors_in_one_line(self):
        for words, program, status, text in (
            (["--rounds", "0"], [], 2, "not a whole number"),
            (["--only", "nothing"], [], 2, "no such form"),
            (["--check", "unpacked"], [], 2, "no <="),
            (["--parallel", "1,x"], [], 2, "not a whole number"),
            (["--html", "/not/there/page"], [], 1, "/not/there/page"),
            (["--work", "/not/there"], [], 1, "--work: '/not': No such file"),
            (["--only", "unpacked"], ["fail"], 1, "exit status 1: it fails"),
            (["--only", "unpacked"], ["not unpacked"], 1, "unpacked: exit status 1"),
            (["--only", "unpacked", "/not/there"], [], 1, "No such file"),
            (["--only", "unpacked", __file__], [], 1, __file__),
        ):
            with self.subTest(words=words, program=program):
                done = self.bench(*words, program=program)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertRegex(done.stderr, r"^haft: [^\n]*\n$")
                self.assertIn(text, done.stderr)
        self.assertEqual(os.listdir(self.out), [])

    def test_a_program_that_leaves_processes(self):
        with self.clean():
            done = self.bench("--rounds", "1", "--only", "unpacked", program=["linger"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("leaves processes running, which were killed", done.stderr)

    @needs("chromium")
    def test_page_in_a_browser(self):
        self.bench(
            "--rounds", "3", "--only", "unpacked", "--html", self.path("page.html"), check=True
        )
        with open(self.path("page.html"), encoding="utf-8") as file:
            source = file.read()
        self.assertNotRegex(source, r'(src|href)="')
        html = open_page(self.path("page.html"), "--dump-dom")
        self.assertIn("one start at a time", html)
        self.assertEqual(html.count("<circle"), 6)  # every start of both forms
        self.assertIn("<td>bundle</td>", html)


if __name__ == "__main__":
    unittest.main()
