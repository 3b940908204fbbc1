"""What a program sees does not depend on how its files got there: scenarios 6, 9, 11 and 12 where
nothing can be mounted privately (fusermount) or at all (extract)."""

import os
import re

import support
from support.scenario_trees import (
    CHILD,
    DATA,
    METADATA,
    NAMESPACES,
    ONE,
    READ,
    RESULTS,
    TWO,
    WORKERS,
)

SECONDS = 25

BOTH = support.Both("everything", [{**ONE, **DATA}, TWO, WORKERS], "-e", "probe:main")
CROWD = support.Both("everything", [{**ONE, **DATA}, TWO, WORKERS], "-e", "crowd.main:main")


class TestModes(support.ScenarioCase):
    @support.parametrised(
        how=["extract", "fusermount"], what=["NAMESPACES", "READ", "METADATA", "CHILD", "CROWD"]
    )
    def test_same_as_a_plain_directory(self, how, what, mode):
        both = CROWD if what == "CROWD" else BOTH
        code = {
            "NAMESPACES": NAMESPACES,
            "READ": READ,
            "METADATA": METADATA,
            "CROWD": "spawn",
            "CHILD": CHILD.format(code="import os\n" + READ),
        }[what]
        env = support.clean_env(HAFT_MODE=how, TMPDIR=os.fspath(support.unique_dir("tmp", 0o1777)))
        with self.clean(quiet_host=False, timeout=5):
            done = support.run([both.bundle, code], mode=mode, env=env)
        plain = support.run([both.plain, code], mode=mode, env=env)
        if what == "CROWD":
            # Spawned workers import the program again, as of any script of bin/.
            ours, expected = (text.replace("top level\n", "") for text in (done.stdout, RESULTS))
            self.assertEqual((ours, done.stderr, done.returncode), (expected, "", 0))
            return
        # The place is another one at every start.
        place = re.compile(r"/[\w./-]+/everything/site-packages")
        ours = [
            place.sub("/run/haft/everything/site-packages", text)
            for text in (done.stdout, done.stderr)
        ]
        self.assertEqual(
            (both.normal(ours[0]), both.normal(ours[1]), done.returncode), both.outcome(plain)
        )
        self.assertEqual(done.returncode, 0)
        self.assertIn("SITE", both.normal(ours[0]))
