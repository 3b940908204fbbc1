"""Scenario 20: wherever a bundle lies and whatever the host lacks."""

import os
import resource
import shlex
import shutil
import subprocess
import unittest

import support

SECONDS = 18

CODE = "import lab_lazy.m7, tempfile; print('fine', lab_lazy.m7.VALUE)"
FINE = ("fine 7\n", "", 0)


class PlaceCase(support.TestCase):
    def fine(self, command, *, mode=None, **options):
        with self.clean():
            done = support.run(command, mode=mode, **options)
        self.assertEqual((done.stdout, done.stderr, done.returncode), FINE)


class TestVariables(PlaceCase):
    """Scenario 20: what the environment and the process say about places."""

    @support.parametrised(
        value=["unset", "relative/dir", "/nonexistent", "/" + "x" * 5000, "", "/proc"]
    )
    def test_TMPDIR(self, value):
        env = support.clean_env()
        if value != "unset":
            env["TMPDIR"] = value
        for mode in support.MODES:
            self.fine([support.lab(), CODE], mode=mode, env=env)

    @support.parametrised(value=["unset", "", "/nonexistent", "/proc", "/dev/null"])
    def test_HOME(self, value):
        env = support.clean_env(XDG_RUNTIME_DIR="/nonexistent", XDG_CACHE_HOME="relative")
        env.pop("HOME", None)
        if value != "unset":
            env["HOME"] = value
        for mode in support.MODES:
            self.fine([support.lab(), CODE], mode=mode, env=env)

    @support.parametrised(umask=[0o777, 0o077, 0])
    def test_umask(self, umask):
        for mode in support.MODES:
            self.fine([support.lab(), CODE], mode=mode, preexec_fn=lambda: os.umask(umask))

    @support.parametrised(haft_mode=["fusermount", "extract"])
    def test_umask_that_takes_the_owners_bits(self, haft_mode):
        """An ordinary user could not open the directory it had just made, nor could the next
        start."""
        for umask in (0o777, 0o022):
            with self.clean(quiet_host=False):
                done = support.run(
                    [support.lab(), "print(os.umask(0))"],
                    mode="userns",
                    env=support.clean_env(HAFT_MODE=haft_mode),
                    preexec_fn=lambda: os.umask(umask),
                )
            self.assertEqual((done.stdout, done.stderr), (f"{umask}\n", ""))

    def test_unpack_with_a_umask_that_takes_the_owners_bits(self):
        """mkdtemp was called again and again until the disk was full."""
        target = support.unique_dir(mode=0o777) / "tree"
        done = support.run(
            [support.HAFT, "extract", support.lab(), target],
            mode="userns",
            preexec_fn=lambda: os.umask(0o777),
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((target / "site-packages/lab.py").stat().st_mode & 0o777, 0o644)

    @support.parametrised(
        limit=[
            "AS 300M",
            "NOFILE 20",
            "NOFILE 15",
            "FSIZE 0",
            "CORE 0",
            "STACK 256K",
            "DATA 200M",
            "MEMLOCK 0",
            "CPU 20",
            "SIGPENDING 0",
            "MSGQUEUE 0",
        ]
    )
    def test_limits(self, limit):
        name, _, text = limit.partition(" ")
        value = int(text.rstrip("KM")) * {"K": 1 << 10, "M": 1 << 20}.get(text[-1], 1)

        def apply():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

        # tempfile, which CODE uses, tries its directory by writing to it.
        touching = "import lab_lazy.m7; print('fine', lab_lazy.m7.VALUE)"
        code = touching if name == "FSIZE" else CODE
        for mode in support.MODES:
            # preexec_fn runs before the helpers of as_user, which have to live with it as well.
            self.fine([support.lab(), code], mode=mode, preexec_fn=apply, stdin=subprocess.DEVNULL)

    @support.parametrised(limit=["AS 20M", "NPROC 1", "NOFILE 5"])
    def test_limits_that_are_too_low(self, limit):
        """Where nothing can work, one message of ours or of Python's, a status that is no success,
        no hang."""
        name, _, text = limit.partition(" ")
        value = int(text.rstrip("M")) << (20 if text.endswith("M") else 0)
        command = support.running.in_mode(
            ["prlimit", f"--{name.lower()}={value}", support.lab(), CODE], support.MODES[-1]
        )
        with self.clean():
            done = support.run(command, timeout=20)
        if done.returncode == 0:
            self.assertEqual(done.stdout, FINE[0])
        else:
            self.assertEqual(done.stdout, "")
            self.assertTrue(done.stderr)

    def test_working_directory_in_the_mount(self, mode):
        """The program changes into its own mount and starts children and itself from there."""
        code = (
            "import subprocess\nos.chdir('/run/haft/lab/site-packages/lab_data')\n"
            "print(open('text.txt').read(), os.getcwd(), flush=True)\n"
            "subprocess.run([sys.executable, '-c', 'import os, lab_lazy.m3; "
            "print(os.getcwd(), lab_lazy.m3.VALUE)'])\n"
            'subprocess.run([sys.argv[2], \'print(os.listdir(".") != [], '
            'open("text.txt").read())\'])'
        )
        with self.clean():
            done = support.run([support.lab(), code, support.lab()], mode=mode)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        self.assertEqual(
            done.stdout,
            "text of the lab\n /run/haft/lab/site-packages/lab_data\n"
            "/run/haft/lab/site-packages/lab_data 3\nTrue text of the lab\n\n",
        )


@unittest.skipIf(os.geteuid(), "needs root")
class TestHosts(PlaceCase):
    """Scenario 20: mounts that the host has or lacks, in a mount namespace of the test's own."""

    def within(self, prepare, mode, *, command=None, fine=True, code=CODE, propagation="slave"):
        """Runs the lab after the shell script `prepare`, which runs as root."""
        command = command or [*support.user_in(mode).drop(), support.lab(), code]
        script = f"{prepare}\nexec {shlex.join(map(str, command))}"
        env = support.clean_env(**({} if mode == "namespace" else {"HAFT_MODE": mode}))
        with self.clean():
            done = support.run(
                ["unshare", "-m", "--propagation", propagation, "sh", "-ec", script],
                timeout=20,
                env=env,
            )
        if fine:
            self.assertEqual((done.stdout, done.stderr, done.returncode), FINE)
        return done

    @support.parametrised(place=["/tmp", "/var/tmp /tmp", "/run", "/dev/shm", "/home /root"])
    def test_noexec(self, place, mode):
        self.within(
            "\n".join(
                f"mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 none {p}"
                for p in place.split()
                if not str(support.scratch()).startswith(p + "/") and os.path.isdir(p)
            ),
            mode,
        )

    @support.parametrised(place=["/tmp", "/run", "/dev/shm"])
    def test_full(self, place, mode):
        self.within(
            f"mount -t tmpfs -o size=4k,mode=1777 none {place}\n"
            f"dd if=/dev/zero of={place}/filler bs=4k count=1 2>/dev/null",
            mode,
        )

    @support.parametrised(place=["/tmp", "/run", "/dev/shm", "/root"])
    def test_read_only(self, place, mode):
        self.within(
            f"mount -t tmpfs -o ro none {place}",
            mode,
            code="import lab_lazy.m7; print('fine', lab_lazy.m7.VALUE)",
        )

    def test_whole_host_read_only(self, mode):
        self.within(
            "mount -o bind / /mnt && mount -o remount,bind,ro / 2>/dev/null || mount --bind "
            "-o ro / /\n"
            "mount -t tmpfs -o ro none /tmp",
            mode,
            code="import lab_lazy.m7; print('fine', lab_lazy.m7.VALUE)",
        )

    def test_no_shared_memory(self, mode):
        """/dev without shm, as some containers and chroots have it."""
        empty = support.unique_dir("dev")
        self.within(
            f"mount -t tmpfs none {empty}; chmod 755 {empty}\n"
            f"for d in null zero full random urandom tty fuse; do touch {empty}/$d\n"
            f"mount --bind /dev/$d {empty}/$d; done\nmount --rbind {empty} /dev",
            mode,
        )

    def test_bundle_on_a_read_only_file_system(self, mode):
        place = support.unique_dir("ro")
        self.within(
            f"mount -t tmpfs none {place}; cp {support.lab()} {place}/lab; mount -o "
            f"remount,ro {place}",
            mode,
            command=[*support.user_in(mode).drop(), f"{place}/lab", CODE],
        )

    def test_bundle_on_a_nosuid_nodev_file_system(self, mode):
        place = support.unique_dir("nosuid")
        self.within(
            f"mount -t tmpfs -o nosuid,nodev none {place}; cp {support.lab()} {place}/lab",
            mode,
            command=[*support.user_in(mode).drop(), f"{place}/lab", CODE],
        )

    def test_bundle_on_an_overlay(self, mode):
        """As in a container image."""
        place = support.unique_dir("overlay")
        self.within(
            f"mount -t tmpfs none {place}; cd {place}; mkdir l u w m; cp {support.lab()} l/lab\n"
            "mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m; chmod 755 . m",
            mode,
            command=[*support.user_in(mode).drop(), f"{place}/m/lab", CODE],
        )

    def test_bundle_on_a_noexec_file_system(self):
        """The kernel refuses, as with any program."""
        place = support.unique_dir("noexec")
        done = self.within(
            f"mount -t tmpfs -o noexec none {place}; cp {support.lab()} {place}/lab",
            "namespace",
            command=[f"{place}/lab", CODE],
            fine=False,
        )
        self.assertEqual(done.returncode, 126)
        self.assertIn("Permission denied", done.stderr)

    def test_bundle_in_a_bundle(self, mode):
        """A bundle that lies in the mount of another: FUSE in FUSE, as on any network file
        system."""
        tree = support.write_tree(
            support.unique_dir("outer"),
            {
                "outer.py": "import os, sys\n"
                "os.execv(os.path.dirname(__file__) + '/inner', ['inner', *sys.argv[1:]])\n"
            },
        )
        shutil.copy(support.lab(), tree / "inner")
        outer = support.build(tree, "-m", "outer", output=support.unique_dir("outer-out") / "outer")
        self.fine([outer, CODE], mode=mode)

    def test_bundle_on_a_fuse_file_system(self):
        """… and in a mount of `haft mount`, read only and not ours to write."""
        tree = support.write_tree(support.unique_dir("carrier"), {"m.py": ""})
        shutil.copy(support.lab(), tree / "lab")
        point = support.unique_dir("carrier-mnt")
        carrier = support.build(
            tree, "-m", "m", output=support.unique_dir("carrier-out") / "carrier"
        )
        support.haft("mount", carrier, point)
        try:
            self.fine([point / "site-packages/lab", CODE])
        finally:
            support.haft("umount", point)

    def test_bundle_on_a_noexec_file_system_through_haft_run(self, mode):
        place = support.unique_dir("noexec")
        self.within(
            f"mount -t tmpfs -o noexec none {place}; cp {support.lab()} {place}/lab; chmod "
            f"644 {place}/lab",
            mode,
            command=[
                *support.user_in(mode).drop(),
                support.HAFT,
                "run",
                f"{place}/lab",
                CODE,
            ],
        )

    def test_place_for_a_mount_is_found_where_tmp_is_read_only(self):
        """Nobody is unpacked, or loses his groups, for that."""
        prepare = "mount -t tmpfs -o ro none /tmp"
        code = f"{CODE}; print(__import__('lab').__file__, os.getgroups())"
        done = self.within(
            prepare,
            "fusermount",
            command=[*support.PERSON.drop(), support.lab(), code],
            code=code,
            fine=False,
        )
        self.assertRegex(done.stdout, r"^fine 7\n/var/tmp/haft-1729/.* \[100, 1730, 1731\]\n$")

    def test_without_proc(self, mode):
        """Starts, or says in one line what is missing."""
        done = self.within("mount -t tmpfs none /proc", mode, fine=False)
        if done.returncode:
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertOneLine(done.stderr, "/proc", start=("haft: ", "lab: "))
        else:
            self.assertEqual(done.stdout, FINE[0])

    @support.parametrised(propagation=["shared", "slave", "private"])
    def test_propagation_of_the_hosts_mounts(self, propagation, mode):
        self.within("true", mode, propagation=propagation)

    def test_many_mounts_on_the_host(self, mode):
        """Two hundred bind mounts, some on top of each other, as container hosts have."""
        place = support.unique_dir("many")
        self.within(
            f"mount -t tmpfs none {place}; cd {place}; mkdir $(seq 100); for i in $(seq 100)\n"
            "do mount --bind $i $i; mount -t tmpfs none $i; done; cd /",
            mode,
        )

    def test_top_level_directories_of_every_kind(self, mode):
        """Mounts, links, files, odd names and unreadable directories directly below the root."""
        new = support.unique_dir("root")
        prepare = (
            f"mount -t tmpfs none {new}; chmod 755 {new}; cd {new}\n"
            "for d in bin sbin lib lib32 lib64 libx32; do [ -L /$d ] && cp -a /$d $d; done\n"
            "for d in usr etc dev proc sys var tmp run; do mkdir $d; mount --rbind /$d $d; done\n"
            "mkdir 'with space' \"$(printf 'new\\nline')\" closed empty; chmod 000 closed\n"
            "echo text >file; ln -s nothing dangling; ln -s / loop; mkfifo fifo; mkdir haft\n"
            "mount -t tmpfs none empty; mkdir old; pivot_root . old; umount -l /old"
        )
        lab = support.lab()
        code = (
            "import lab_lazy.m7\n"
            "assert open('/file').read() == 'text\\n' and os.readlink('/loop') == '/'\n"
            "print('fine', lab_lazy.m7.VALUE)"
        )
        self.assertTrue(str(lab).startswith(("/var/", "/tmp/")), lab)
        self.within(prepare, mode, code=code)
