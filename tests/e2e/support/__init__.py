"""What all end-to-end tests share: where haft is, scratch directories, trees, bundles, running,
cleanness.

    class TestExit(support.TestCase):
        def test_status(self, mode):                  # runs twice: as root and as an ordinary user
            with self.clean():                        # fails unless everything is gone afterwards
                done = support.run([support.lab(), "os._exit(9)"], mode=mode)
            self.assertEqual(done.returncode, 9)

Run everything with tests/e2e/run.py, one file with tests/e2e/run.py -k test_exit.
"""

from support.case import LONG, TestCase, long_test, parametrised
from support.clean import (
    Clean,
    MountWatch,
    haft_mounts,
    haft_processes,
    mount_table,
    process_name,
    servers,
    state,
    wait_until,
)
from support.lab import code_app, lab, lab_tree
from support.paths import HAFT, PYTHON, REPO, scratch, unique_dir
from support.people import NUMBER, PERSON, ROOT, User
from support.plain import PROBE, Both, ScenarioCase
from support.running import (
    MODES,
    as_user,
    clean_env,
    in_mode,
    no_core,
    processes_of,
    run,
    start,
    user_in,
)
from support.trees import (
    TREES,
    app,
    build,
    bundle,
    haft,
    info,
    plain_environment,
    portable_bundle,
    portable_tree,
    tree,
    write_tree,
)

__all__ = [
    "HAFT",
    "LONG",
    "MODES",
    "NUMBER",
    "PERSON",
    "PROBE",
    "PYTHON",
    "REPO",
    "ROOT",
    "TREES",
    "Both",
    "Clean",
    "MountWatch",
    "ScenarioCase",  # support.plain
    "TestCase",
    "User",
    "app",
    "as_user",
    "build",
    "bundle",
    "clean_env",
    "code_app",
    "haft",
    "haft_mounts",
    "haft_processes",
    "in_mode",
    "info",
    "lab",
    "lab_tree",
    "long_test",
    "mount_table",
    "no_core",
    "parametrised",
    "plain_environment",
    "portable_bundle",
    "portable_tree",
    "process_name",
    "processes_of",
    "run",
    "scratch",
    "servers",
    "start",
    "state",
    "tree",
    "unique_dir",
    "user_in",
    "wait_until",
    "write_tree",
]
