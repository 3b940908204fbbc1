"""Chroots: of the host's root, of foreign distributions, of almost nothing."""

import os
import pathlib
import re
import shlex
import shutil
import unittest

import support
from support.tools import needs

SECONDS = 10

CODE = "import lab_lazy.m5, lab; print(lab_lazy.m5.VALUE, lab.__file__, os.getpid()); result = 5"


def bind_root(directory):
    """Shell words that make `directory` a copy of the host's root."""
    return f"mount --rbind / {directory} && mount --make-rslave {directory}"


@unittest.skipIf(os.geteuid(), "needs root")
class TestChroot(support.TestCase):
    def chroot(self, command, prepare=bind_root, env=None, user=False):
        directory = support.unique_dir()
        change = [
            "chroot",
            str(directory),
            *(support.PERSON.drop() if user else []),
            *map(str, command),
        ]
        with self.clean(timeout=4.0):
            return support.run(
                ["unshare", "-m", "sh", "-c", f"{prepare(directory)} && exec {shlex.join(change)}"],
                env=env or support.clean_env(),
            )

    def test_same_path_as_root(self):
        done = self.chroot(
            [support.lab(), CODE + "; print(os.getcwd(), sorted(os.listdir('/'))[:2])"]
        )
        self.assertEqual((done.returncode, done.stderr), (5, ""))
        self.assertTrue(
            done.stdout.startswith("5 /run/haft/lab/site-packages/lab.py "), done.stdout
        )

    def test_root_directory_is_the_chroots(self):
        """Joining the namespace must not lead out of the chroot."""

        def prepare(directory):
            return (
                f"{bind_root(directory)} && mount -t tmpfs none {directory}/mnt && touch "
                f"{directory}/mnt/inside"
            )

        done = self.chroot(
            [
                support.lab(),
                "print(os.listdir('/mnt'), os.path.exists('/proc/1')); os.chdir('/mnt'); "
                "print(os.getcwd())",
            ],
            prepare,
        )
        self.assertEqual((done.stdout, done.stderr), ("['inside'] True\n/mnt\n", ""))

    def test_user(self):
        """User namespaces are refused in a chroot: by fusermount3, or unpacked."""
        done = self.chroot([support.lab(), CODE], user=True)
        self.assertEqual((done.returncode, done.stderr), (5, ""))
        self.assertRegex(done.stdout, f"^5 /tmp/haft-{support.PERSON.uid}/lab-[0-9a-f]{{32}}/lab/")
        done = self.chroot(
            [support.lab(), CODE], user=True, env=support.clean_env(HAFT_MODE="!fusermount")
        )
        self.assertEqual(done.returncode, 5)
        self.assertOneLine(done.stderr, "unpacked", "mode userns: would lose groups")

    @needs("busybox")
    def test_busybox_only(self):
        """Far enough to say what is missing."""
        root = support.unique_dir("root")
        for name in ("bin", "dev", "proc", "tmp"):
            (root / name).mkdir()
        shutil.copy(shutil.which("busybox"), root / "bin/sh")
        shutil.copy(support.lab(), root / "lab")
        done = support.run(["chroot", root, "/lab", "x"])
        self.assertEqual(done.returncode, 125)
        self.assertOneLine(done.stderr, "'/proc/self/exe'", "mount /proc")
        for mode in ("", "namespace", "extract"):
            words = f"mount -t proc proc {root}/proc && exec chroot {root} /bin/sh -c 'exec /lab x'"
            with self.clean():
                done = support.run(
                    ["unshare", "-m", "sh", "-c", words], env=support.clean_env(HAFT_MODE=mode)
                )
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertOneLine(
                done.stderr,
                "needs Python 3.11",
                "'/usr/bin/python3' is not there",
                "install python3.11",
            )


@unittest.skipIf(os.geteuid(), "needs root")
class TestForeignHosts(support.TestCase):
    """Minimal roots of Debian releases, from the mirror this host uses."""

    seconds = 500

    def mirror(self):
        for path in [
            pathlib.Path("/etc/apt/sources.list"),
            *pathlib.Path("/etc/apt/sources.list.d").glob("*"),
        ]:
            found = (
                re.search(
                    r"(?m)^(?:deb(?: \[[^]]*\])?|URIs:) (\S+/debian)/?(?: |$)", path.read_text()
                )
                if path.is_file()
                else None
            )
            if found:
                return found[1]
        return self.skipTest("no mirror is configured")

    @support.long_test
    @support.parametrised(release=["bullseye", "bookworm", "trixie"])
    def test_debian(self, release):
        root = support.unique_dir("debian") / release
        include = "python3-minimal,libpython3-stdlib"
        made = support.run(
            [
                "unshare",
                "-m",
                "debootstrap",
                "--variant=minbase",
                f"--include={include}",
                release,
                root,
                self.mirror(),
            ],
            timeout=480,
        )
        if made.returncode:
            self.skipTest(f"debootstrap {release}: {made.stdout[-300:]}{made.stderr[-300:]}")
        shutil.copy(support.lab(), root / "lab")
        prepare = (
            f"mount --bind {root} {root} && mount -t proc proc {root}/proc && mount -t tmpfs "
            f"none {root}/dev && "
            f"for d in null zero tty urandom fuse; do touch {root}/dev/$d && mount --bind "
            f"/dev/$d {root}/dev/$d; done && "
            f"mkdir -p {root}/old && cd {root} && pivot_root . old && umount -l old"
        )
        for user in (support.ROOT, support.PERSON, support.NUMBER):
            for mode in ("", "extract"):
                command = shlex.join([*user.drop(), "/lab", CODE])
                done = support.run(
                    ["unshare", "-m", "sh", "-c", f"{prepare} && exec {command}"],
                    env=support.clean_env(HAFT_MODE=mode),
                )
                with self.subTest(release=release, user=str(user), mode=mode):
                    if release == "bookworm":
                        self.assertEqual((done.returncode, done.stderr), (5, ""))
                        self.assertTrue(done.stdout.startswith("5 /"))
                    else:
                        self.assertEqual((done.returncode, done.stdout), (125, ""))
                        self.assertOneLine(done.stderr, "needs Python 3.11", "is Python 3.")
        shutil.rmtree(root, ignore_errors=True)
