"""Every call answers with the one errno a read-only file system has for it."""

import json
import os

import support
from support import fs_support
from support.mounting import Mounted

SECONDS = 15


class TestErrno(support.TestCase):
    """The table is fs_errno.py; it runs as a program, because it changes its working directory."""

    @classmethod
    def setUpClass(cls):
        cls.tree = support.unique_dir("errno")
        fs_support.write_errno_tree(cls.tree)
        (cls.tree / "fs_errno.py").write_bytes((fs_support.HERE / "fs_errno.py").read_bytes())
        cls.bundle = support.build(
            cls.tree,
            "-m",
            "fs_errno",
            "--no-compile",
            output=support.unique_dir("errno-out") / "errno",
        )

    def check(self, done, uid):
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(done.stdout)
        self.assertEqual(report["uid"], uid)
        self.assertGreater(report["checks"], 100)
        self.assertEqual(
            "\n".join(
                f"{what}: expected {wanted}, got {got}"
                for what, wanted, got in report["differences"]
            ),
            "",
        )

    def test_mount(self):
        with self.clean(quiet_host=False), Mounted(self.bundle) as mount:
            self.check(
                support.run(
                    [
                        support.PYTHON,
                        fs_support.HERE / "fs_errno.py",
                        os.fsdecode(mount.tree),
                        support.unique_dir("other"),
                    ]
                ),
                os.geteuid(),
            )

    def test_bundle(self, mode):
        with self.clean():
            self.check(support.run([self.bundle], mode=mode), support.user_in(mode).uid)

    def test_set_user_id_program(self, mode):
        """A program with a set-user-id bit in the source runs without it."""
        code = (
            "import os, subprocess, sys\n"
            "path = os.path.join(os.path.dirname(__file__), 'suid')\n"
            "assert not os.stat(path).st_mode & 0o6000\n"
            "sys.exit(int(subprocess.check_output([path])) != os.getuid())\n"
        )
        tree = support.write_tree(support.unique_dir("suid"), {"suid_program.py": code})
        fs_support.put(os.fsencode(tree) + b"/suid", b"#!/bin/sh\nid -u\n", 0o6755)
        bundle = support.build(
            tree, "-m", "suid_program", output=support.unique_dir("suid-out") / "suid"
        )
        with self.clean():
            done = support.run([bundle], mode=mode)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class TestModes(support.TestCase):
    """Permission bits mean what they mean in a directory."""

    def test_reading_as_another_user(self):
        """Mounted by root for all: a user may read what the modes allow, and nothing else."""
        if os.geteuid() != 0:
            self.skipTest("needs root")
        tree = support.unique_dir("modes")
        arguments = fs_support.program(tree)
        for mode in (0o644, 0o600, 0o000, 0o111, 0o604, 0o755):
            fs_support.put(os.fsencode(tree) + b"/file-%03o" % mode, b"text", mode)
        for mode in (0o755, 0o700, 0o711):
            directory = tree / f"directory-{mode:03o}"
            directory.mkdir()
            (directory / "file").write_text("text")
            directory.chmod(mode)
        bundle = support.build(tree, *arguments, output=support.unique_dir("modes-out") / "modes")
        code = (
            "import os, sys\n"
            "def may(path, flags):\n"
            "    try: os.close(os.open(path, flags)); return True\n"
            "    except PermissionError: return False\n"
            "os.chdir(sys.argv[1])\n"
            "print([n for n in sorted(os.listdir()) if n.startswith('file') and may(n, "
            "os.O_RDONLY)],\n"
            "      [n for n in sorted(os.listdir()) if n.startswith('dir') and may(n, "
            "os.O_RDONLY)],\n"
            "      [n for n in sorted(os.listdir()) if n.startswith('dir') and may(n + "
            "'/file', os.O_RDONLY)])"
        )
        with self.clean(quiet_host=False), Mounted(bundle, "--allow-other") as mount:
            done = support.run(
                [
                    *support.PERSON.drop(),
                    support.PYTHON,
                    "-c",
                    code,
                    os.fsdecode(mount.tree),
                ],
                check=True,
            )
        self.assertEqual(
            done.stdout,
            "['file-604', 'file-644', 'file-755'] ['directory-755'] "
            "['directory-711', 'directory-755']\n",
        )

    def test_not_for_others_without_being_asked(self):
        """Without --allow-other nobody else gets in."""
        if os.geteuid() != 0:
            self.skipTest("needs root")
        tree = support.unique_dir("private")
        bundle = support.build(
            tree, *fs_support.program(tree), output=support.unique_dir("private-out") / "private"
        )
        with self.clean(quiet_host=False), Mounted(bundle) as mount:
            done = support.run([*support.PERSON.drop(), "ls", mount.root])
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Permission denied", done.stderr)
