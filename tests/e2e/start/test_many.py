"""Many starts: in a row, at once, of two versions, as two users. No failure, and the mount table as
before."""

import concurrent.futures
import os
import unittest

import support

SECONDS = 20
CODE = "import lab, lab_lazy.m5, lab_lazy.m150; print(lab.__file__); result = 7"


@unittest.skipIf(os.geteuid(), "needs root")
class TestManyStarts(support.TestCase):
    seconds = 900 if support.LONG else 300

    def starts(self, count, at_once, modes, env=None):
        """Where their files were."""

        def one(number):
            done = support.run(
                [support.lab(), CODE],
                mode=modes[number % len(modes)],
                env=env and support.clean_env(**env),
            )
            return done.returncode, done.stderr, done.stdout

        with self.clean(timeout=8.0, quiet_host=env is None), concurrent.futures.ThreadPoolExecutor(
            at_once
        ) as pool:
            ends = list(pool.map(one, range(count)))
        self.assertEqual({end[:2] for end in ends}, {(7, "")})
        return [place for _, _, place in ends]

    def test_one_after_the_other(self):
        self.starts(1000 if support.LONG else 40, 1, ["namespace", "userns"])

    def test_50_at_a_time(self):
        """As root and as a user, mixed."""
        self.starts(2000 if support.LONG else 200, 50, ["namespace", "userns"])

    def test_first_starts_at_once(self):
        """What unpacks on the first start must do it once."""
        count = 200 if support.LONG else 40
        self.starts_that_use_tmp(count, count, "extract")

    def test_fusermount_at_once(self):
        places = self.starts_that_use_tmp(200 if support.LONG else 40, 20, "fusermount")
        self.assertEqual(len(set(places)), 1)

    def starts_that_use_tmp(self, count, at_once, haft_mode):
        """In a /tmp that no other test uses."""
        with self.covered("/tmp") as tmp:
            places = self.starts(count, at_once, ["userns"], {"HAFT_MODE": haft_mode})
            self.assertTrue(support.wait_until(lambda: not os.listdir(tmp), 5), os.listdir(tmp))
        return places
