"""Scenario 19: whoever starts a bundle."""

import os
import subprocess
import unittest

import support
from support import host

SECONDS = 8

CODE = "import lab_lazy.m7, tempfile; print('fine', lab_lazy.m7.VALUE)"
FINE = ("fine 7\n", "", 0)


STRANGER = support.User("stranger", 4242, 4242)


@unittest.skipIf(os.geteuid(), "needs root")
class TestUsers(support.TestCase):
    """Scenario 19."""

    def outcome(self, command, **options):
        with self.clean():
            done = support.run(command, **options)
        return done.stdout, done.stderr, done.returncode

    def test_root_then_a_user_then_root(self):
        """Nothing that one leaves could be in the way of the other: nothing is left."""
        home = support.unique_dir("home", 0o777)
        before = {
            place: set(os.listdir(place)) for place in ("/tmp", "/run", "/var/tmp", "/dev/shm", "/")
        }
        for mode in ("namespace", "userns", "number", "namespace", "userns"):
            env = support.clean_env(HOME=str(home))
            self.assertEqual(self.outcome([support.lab(), CODE], mode=mode, env=env), FINE)
        self.assertEqual(os.listdir(home), [])
        for place, names in before.items():
            new = set(os.listdir(place)) - names
            # Builds and tests beside this one have directories of their own.
            ours = [
                name
                for name in new
                if "haft" in name and "e2e" not in name and not name.startswith("haft-build-")
            ]
            self.assertFalse(ours, place)

    def test_sudo(self):
        """With the environment that sudo makes, to another user and as root."""
        for name, uid in (
            ("root", 0),
            ("nobody", 65534),
            (support.PERSON.name, support.PERSON.uid),
        ):
            with self.clean(timeout=4.0, quiet_host=False):
                done = support.run(
                    ["sudo", "-n", "-u", name, support.lab(), CODE + "; print(os.geteuid())"],
                    env=support.clean_env(HAFT_MODE="nonsense", PYTHONPATH="/nonexistent"),
                )
            self.assertEqual((done.stderr, done.returncode), ("", 0))
            self.assertEqual(done.stdout, f"fine 7\n{uid}\n")

    def test_user_without_a_name_and_a_home(self):
        """A uid that /etc/passwd does not know, as containers have it."""
        code = (
            "import lab_lazy.m7, pwd, pathlib\n"
            "try: pwd.getpwuid(os.getuid())\nexcept KeyError: print('nobody knows', os.getuid())\n"
            "print(os.path.expanduser('~'), lab_lazy.m7.VALUE)"
        )
        env = support.clean_env()
        env.pop("HOME", None)
        self.assertEqual(
            self.outcome([*STRANGER.drop(), support.lab(), code], env=env),
            ("nobody knows 4242\n~ 7\n", "", 0),
        )

    def test_group_without_a_name(self):
        code = "import lab_lazy.m7; print(os.getuid(), os.getgid(), os.getgroups())"
        command = [
            "setpriv",
            "--reuid=4242",
            "--regid=4343",
            "--groups=4343,4444",
            "--",
            support.lab(),
            code,
        ]
        # In a user namespace groups that cannot be mapped show as 65534; there they are the same
        # groups still.
        env = support.clean_env(HAFT_MODE="userns")
        out, err, status = self.outcome(command, env=env)
        self.assertEqual((err, status), ("", 0))
        self.assertTrue(out.startswith("4242 4343 "), out)

    def test_set_uid_then_import(self, mode):
        """Real, effective and saved ids that differ: as a set-user-id program would have them."""
        code = (
            "os.setegid(65534); os.seteuid(65534); import lab_lazy.m8; "
            "print(lab_lazy.m8.VALUE, os.getuid())"
        )
        if mode == "namespace":
            self.assertEqual(self.outcome([support.lab(), code], mode=mode), ("8 0\n", "", 0))
        command = [
            "setpriv",
            "--ruid=4242",
            "--euid=65534",
            "--regid=65534",
            "--clear-groups",
            "--",
            support.lab(),
            CODE,
        ]
        out, err, status = self.outcome(command)
        if status:  # refusing is allowed; it has to be said
            self.assertEqual((out, status), ("", 125))
            self.assertOneLine(err, start=("haft: ", "lab: "))
        else:
            self.assertEqual(out, FINE[0])

    @support.parametrised(haft_mode=["fusermount", "extract"])
    def test_person_is_who_he_is_outside(self, haft_mode):
        """Names, groups, owners of files, rights, and a file given to one of his groups."""
        self.assertSamePerson(HAFT_MODE=haft_mode)

    def test_person_is_who_he_is_outside_without_being_told(self):
        """The mode that maps no id but his own comes after those that change none."""
        self.assertSamePerson()

    def assertSamePerson(self, **variables):
        code = (
            "import pwd, subprocess, tempfile\n"
            "me = pwd.getpwuid(os.getuid())\n"
            "print(me.pw_name, os.path.expanduser('~') == me.pw_dir, os.getgroups())\n"
            "print([os.stat(path)[4:6] for path in ('/', '/etc/passwd', '/tmp', me.pw_dir)])\n"
            "with tempfile.NamedTemporaryFile(dir=me.pw_dir) as file:\n"
            "  os.chown(file.name, -1, os.getgroups()[-1]); print(os.stat(file.name)[4:6])\n"
            "print([line for line in open('/proc/self/status')\n"
            "       if line.startswith(('Uid', 'Gid', 'Groups', 'Cap', 'NoNewPrivs'))])\n"
            "print(os.readlink('/proc/self/ns/user'), flush=True)\n"
            "subprocess.run(['id'])"
        )
        plain = support.run([*host.plain(), code], mode="person", check=True).stdout
        groups = "groups=1729(person),100(users),1730(authors),1731(e2e-readers)"
        if os.environ.get("E2E_ISOLATED"):
            self.assertIn(groups, plain)
        with self.clean(timeout=4.0, quiet_host=False):
            done = support.run(
                [support.lab(), code], mode="person", env=support.clean_env(**variables)
            )
        self.assertEqual((done.stdout, done.stderr, done.returncode), (plain, "", 0))

    @support.parametrised(who=["another user", "the same user", "root"])
    def test_who_reads_the_mount_of_a_user(self, who):
        """Through /proc/PID/root: only the user who started it. Not even root, without entering the
        namespace."""
        self.assertEqual(self.reads(who, "userns"), who == "the same user")

    @support.parametrised(who=["another user", "root"])
    def test_who_reads_the_mount_of_root(self, who):
        """Nobody but root may look into a process of root; its own workers of other users do
        (test_lifetime)."""
        self.assertEqual(self.reads(who, "namespace"), who == "root")

    def reads(self, who, mode):
        program = [
            support.lab(),
            "import lab_lazy.m1; print('ready', flush=True); sys.stdin.read()",
        ]
        with self.clean(), support.start(
            program, mode=mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            user = {"another user": STRANGER, "the same user": support.PERSON}.get(
                who, support.ROOT
            )
            reader = [
                "cat",
                f"/proc/{process.pid}/root/run/haft/lab/site-packages/lab_data/text.txt",
            ]
            if who == "the same user":  # of the same rights means: in the same user namespace
                reader = [
                    "nsenter",
                    "--user",
                    "--preserve-credentials",
                    "-t",
                    str(process.pid),
                    *reader,
                ]
            done = support.run([*user.drop(), *reader])
            process.stdin.close()
        if done.returncode:
            self.assertIn("Permission denied", done.stderr)
        else:
            self.assertEqual(done.stdout, "text of the lab\n")
        return done.returncode == 0
