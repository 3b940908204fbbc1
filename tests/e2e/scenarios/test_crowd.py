"""Scenario 18: many starts at once. Nothing is shared between them that could meet."""

import concurrent.futures
import os
import shutil
import subprocess

import support

SECONDS = 25


class TestCrowd(support.TestCase):
    seconds = 800 if support.LONG else 200

    def parallel_first_starts(self, number, mode):
        """All of them are started before the first has ended; none has run before."""
        directory = support.unique_dir("first", 0o755)
        bundle = directory / "lab"
        shutil.copy(support.lab(), bundle)
        code = "import lab_lazy.m5; print(os.getpid(), lab_lazy.m5.VALUE); result = 7"
        with self.clean(timeout=10):
            running = [
                support.start(
                    [bundle, code],
                    mode=mode,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for _ in range(number)
            ]
            ends = [(*process.communicate(timeout=200), process.returncode) for process in running]
        self.assertEqual(ends, [(f"{process.pid} 5\n", "", 7) for process in running])

    def short_runs(self, number, at_a_time, mode):
        def one(_):
            done = support.run(
                [support.lab(), "import lab_lazy.m6; result = lab_lazy.m6.VALUE"],
                mode=mode,
                timeout=200,
            )
            return done.returncode, done.stdout, done.stderr

        with self.clean(timeout=10), concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
            failed = [end for end in pool.map(one, range(number)) if end != (6, "", "")]
        self.assertEqual(failed, [])

    def test_parallel_first_starts(self, mode):
        self.parallel_first_starts(40, mode)

    @support.long_test
    def test_200_parallel_first_starts(self, mode):
        self.parallel_first_starts(200, mode)

    def test_short_runs(self, mode):
        self.short_runs(40, 15, mode)

    def test_two_bundles_and_two_copies(self, mode):
        """Of the same name, with other contents or the same: every program sees its own."""
        places = {}
        for place, text in (("a", "one"), ("b", "two"), ("copy-of-a", None)):
            directory = support.unique_dir(place, 0o755)
            if text:
                bundle = support.build(
                    support.write_tree(
                        directory / "tree",
                        {
                            "who.py": (
                                f"import sys\nprint({text!r}, flush=True)\nsys.stdin.read()\n"
                                f"import late\nprint(late.NAME)\n"
                            ),
                            "late.py": f"NAME = {text!r}\n",
                        },
                    ),
                    "-m",
                    "who",
                    "--name",
                    "same",
                    output=directory / "same",
                )
            else:
                bundle = shutil.copy(places["a"][0], directory / "same")
            places[place] = bundle, text or "one"
        with self.clean():
            running = [
                (
                    text,
                    support.start(
                        [bundle],
                        mode=mode,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    ),
                )
                for bundle, text in [*places.values()] * 3
            ]
            for text, process in running:
                self.assertEqual(process.stdout.readline(), f"{text}\n")
            for text, process in running:  # all run now
                self.assertEqual(process.communicate(timeout=30)[0], f"{text}\n")
                self.assertEqual(process.returncode, 0)

    def test_same_path_new_content(self, mode):
        """The file is replaced by rename again and again while others start it: old or new, never a
        mixture."""
        directory = support.unique_dir("replaced", 0o755)
        versions = []
        for number in (1, 2):
            tree = support.write_tree(
                directory / f"tree{number}",
                {
                    "who.py": f"import late\nprint({number}, late.VERSION)\n",
                    "late.py": f"VERSION = {number}\n",
                    "padding": os.urandom(200_000 * number),
                },
            )
            versions.append(
                support.build(
                    tree, "-m", "who", "--name", "who", output=directory / f"who-{number}"
                )
            )
        path = directory / "who"
        shutil.copy(versions[0], path)
        seen = set()
        with self.clean():
            running = []
            for turn in range(24):
                new = shutil.copy(versions[turn % 2], directory / "new")
                os.rename(new, path)
                running.append(
                    support.start(
                        [path], mode=mode, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                    )
                )
            for process in running:
                out, err = process.communicate(timeout=60)
                self.assertEqual((err, process.returncode), ("", 0))
                self.assertIn(out, ("1 1\n", "2 2\n"))
                seen.add(out)
        self.assertEqual(len(seen), 2)
        shutil.copy(versions[1], directory / "new")
        os.rename(directory / "new", path)
        self.assertEqual(support.run([path], mode=mode, check=True).stdout, "2 2\n")
