"""Every mode forced, and every mode made to fail: the next one, or one line with cause
and remedy, 125, quickly, and nothing left. Each time the program prints what it prints from a plain
directory."""

import os
import shlex
import unittest

import support

SECONDS = 45

CODE = (
    "import lab_lazy.m5, lab, subprocess, hashlib\n"
    "base = os.path.dirname(lab.__file__)\n"
    "print(lab_lazy.m5.VALUE, hashlib.sha256(open(base + '/lab_data/big.bin', "
    "'rb').read()).hexdigest())\n"
    "print(sorted(n for n in os.listdir(base + '/lab_lazy') if n.endswith('.py'))[:9], "
    "os.getcwd(), sys.argv[2:], flush=True)\n"
    "child = 'import lab_lazy.m6; print(lab_lazy.m6.VALUE)'\n"
    "result = subprocess.run([sys.executable, '-c', child]).returncode + 5"
)
OWN = f"haft-{support.PERSON.uid}"  # the directory that starts make in /tmp
MODES = ("namespace", "fusermount", "userns", "extract")
DENY = [support.PYTHON, os.path.join(os.path.dirname(support.running.__file__), "deny.py")]


def places(uid):
    """Directories that a start may make on the host, and that are not there before it."""
    candidates = [f"{parent}/haft-{uid}" for parent in ("/tmp", "/var/tmp", "/dev/shm")]
    return [path for path in candidates if not os.path.exists(path)]


@unittest.skipIf(os.geteuid(), "needs root")
class ModesCase(support.TestCase):
    def plain(self):
        env = support.plain_environment(support.lab_tree(), support.clean_env())
        code = "import sys; sys.argv[:] = ['lab', *sys.argv[1:]]; import lab; sys.exit(lab.main())"
        return support.run([support.PYTHON, "-Bc", code, CODE, "a b"], env=env, cwd="/")

    def start(self, user, env=(), prepare="", wrap=(), modes="", seconds=20, bundle=None):
        """Runs the lab with HAFT_MODE=modes in a mount namespace of its own in which `prepare` was
        done, as root or user; nothing may be left, on the host or in there."""
        command = [bundle or support.lab(), CODE, "a b"]
        command = [*user.drop(), *command]
        command = [*map(str, wrap), *map(str, command)]
        inside = (
            f"{prepare or ':'}\ncd /; {shlex.join(command)}; status=$?\n"
            f"for i in $(seq 60); do left=$(grep -c fuse.haft /proc/self/mountinfo; ls -d "
            f"{shlex.join(places(user.uid))} "
            '/nonexistent 2>/dev/null); [ "$left" = 0 ] && break; sleep 0.05; done\n'
            "echo left: $left; exit $status"
        )
        variables = dict(env)
        if modes:
            variables["HAFT_MODE"] = modes
        with self.clean(timeout=4.0):
            done = support.run(
                ["unshare", "-m", "sh", "-c", inside],
                env=support.clean_env(**variables),
                timeout=seconds,
            )
        done.stdout, _, left = done.stdout.rpartition("left: ")
        self.assertEqual(left, "0\n", done.stderr)
        return done

    def works(self, *arguments, announced=False, **options):
        done = self.start(*arguments, **options)
        plain = self.plain()
        self.assertEqual((done.stdout, done.returncode), (plain.stdout, 5), done.stderr)
        if announced:
            self.assertOneLine(done.stderr, "unpacked into", "HAFT_MODE=extract")
        elif "HAFT_LOG" not in options.get("env", {}):
            self.assertEqual(done.stderr, "")
        return done

    def refuses(self, *arguments, parts=(), **options):
        done = self.start(*arguments, **options)
        self.assertEqual((done.stdout, done.returncode), ("", 125), done.stderr)
        self.assertOneLine(done.stderr, *parts)
        self.assertIn("; ", done.stderr)  # a remedy
        return done.stderr


class TestForced(ModesCase):
    @support.parametrised(haft_mode=MODES, user=[support.ROOT, support.PERSON, support.NUMBER])
    def test_works(self, haft_mode, user):
        if haft_mode == "namespace" and user.uid:
            self.refuses(user, modes=haft_mode, parts=["mode namespace", "CAP_SYS_ADMIN"])
        else:
            self.works(user, modes=haft_mode)

    def test_no_mode_is_left_out(self):
        """MODES is what haft knows: a mode that is added is tested here as well."""
        done = self.start(support.ROOT, modes="none")
        self.assertOneLine(done.stderr, f"known are {', '.join(MODES)}")

    def test_order_and_reasons_in_the_log(self):
        done = self.works(support.PERSON, env={"HAFT_LOG": "debug"})
        self.assertRegex(
            done.stderr,
            r"(?s)\d+\.\d{3} ms  mode namespace: no right to mount.*mode fusermount: the files are "
            rf"in '/tmp/{OWN}/",
        )
        done = self.works(support.PERSON, env={"HAFT_LOG": "debug"}, modes="userns")
        self.assertRegex(
            done.stderr,
            r"(?s)mode userns: the files are in '/run/haft/lab'.*"
            r"mode userns: other groups .* nobody.*"
            r"; this start has groups 100, 1730, 1731",
        )

    @support.parametrised(user=[support.ROOT, support.PERSON, support.NUMBER])
    def test_forbidden_one_by_one(self, user):
        """!x for the modes above: each next one, at last the announced one. Nobody who has groups
        or capabilities comes to userns."""
        for count in range(1, 4):
            forbidden = ",".join("!" + haft_mode for haft_mode in MODES[:count])
            last = count == 3 or (count == 2 and user is not support.NUMBER)
            self.works(user, modes=forbidden, announced=last)
        self.refuses(
            user, modes=",".join("!" + haft_mode for haft_mode in MODES), parts=["HAFT_MODE"]
        )


NO_DEVICE = (
    "e=$(mktemp -d); mount -t tmpfs none $e && chmod 755 $e && for d in null zero tty "
    "urandom; do touch $e/$d && "
    "mount --bind /dev/$d $e/$d; done && mkdir $e/shm && mount --rbind $e /dev && rmdir $e "
    "2>/dev/null"
)
NO_HELPER = "mount --bind /dev/null /usr/bin/fusermount3"


class TestFailing(ModesCase):
    @support.parametrised(user=[support.ROOT, support.PERSON])
    def test_no_device(self, user):
        self.works(user, prepare=NO_DEVICE, announced=True)
        line = self.refuses(
            user,
            prepare=NO_DEVICE,
            modes="!extract",
            parts=["/dev/fuse: No such file", "--device /dev/fuse"],
        )
        self.assertIn("mode fusermount: ", line)

    def test_device_not_allowed(self):
        """EACCES for the user, and so for the helper, which opens it as the user."""
        prepare = "n=$(mktemp -u); mknod -m 600 $n c 10 229; mount --bind $n /dev/fuse; rm -f $n"
        self.refuses(
            support.PERSON,
            prepare=prepare,
            modes="userns",
            parts=["/dev/fuse: Permission denied", "chmod 666"],
        )
        self.refuses(
            support.PERSON,
            prepare=prepare,
            modes="fusermount",
            parts=["/dev/fuse: Permission denied", "chmod 666"],
        )
        self.works(support.PERSON, prepare=prepare, announced=True)

    def test_no_helper(self):
        self.refuses(support.PERSON, prepare=NO_HELPER, modes="fusermount", parts=["fusermount3"])
        self.works(support.NUMBER, prepare=NO_HELPER)
        self.works(support.NUMBER, prepare=NO_HELPER, modes="!userns", announced=True)

    def test_who_would_lose_groups_or_capabilities_is_not_put_into_a_user_namespace(self):
        """As long as there is another mode, and nobody asks for that one."""
        self.works(support.PERSON, prepare=NO_HELPER, announced=True)
        bind = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
        wrap = ["setpriv", *bind, *support.NUMBER.drop()[1:]]
        self.works(support.ROOT, prepare=NO_HELPER, wrap=wrap, announced=True, modes="!namespace")
        self.works(support.PERSON, prepare=NO_HELPER, modes="userns,extract")
        self.works(support.PERSON, prepare=NO_HELPER, modes="!extract")

    def test_helper_that_cannot_be_read(self):
        """Mode 4711, as some distributions install it."""
        prepare = (
            "f=$(mktemp -d); cp -p /usr/bin/fusermount3 $f/f; chown root $f/f; chmod 4711 "
            "$f/f; mount --bind $f/f "
            "/usr/bin/fusermount3; rm -r $f"
        )
        self.works(support.PERSON, prepare=prepare, modes="fusermount")

    def test_no_new_privileges(self):
        wrap = ["setpriv", "--no-new-privs", "--"]
        self.works(support.NUMBER, wrap=wrap)
        self.refuses(
            support.PERSON,
            wrap=wrap,
            modes="fusermount",
            parts=["NO_NEW_PRIVS", "NoNewPrivileges=no"],
        )
        self.works(support.PERSON, wrap=wrap, modes="!userns", announced=True)

    @support.parametrised(
        calls=["unshare", "setns", "mount,pivot_root", "unshare,setns,mount,pivot_root"],
        user=[support.ROOT, support.PERSON],
    )
    def test_seccomp(self, calls, user):
        """A failed mode leaves the process as it was: the next one works."""
        wrap = [*DENY, calls]
        if not user.uid and "mount" in calls:
            self.works(user, wrap=wrap, announced=True)
        elif "mount" in calls:
            # The filter is inherited by the helper.
            self.works(user, wrap=wrap, announced=True)
        else:
            self.works(user, wrap=wrap)
        mode = "userns" if user.uid else "namespace"
        self.refuses(user, wrap=wrap, modes=mode, parts=[f"mode {mode}", "not permitted"])

    @support.parametrised(calls=["mount", "unshare", "setns", "mount,unshare,setns,pivot_root"])
    def test_filter_that_ends_whoever_mounts_is_seen_before(self, calls):
        """SystemCallFilter= of systemd, without SystemCallErrorNumber=."""
        wrap = [DENY[0], DENY[1], "--kill", calls]
        self.works(support.ROOT, wrap=wrap, modes="!fusermount", announced=True)
        for mode in ("namespace", "userns"):
            parts = [f"mode {mode}", "a system call filter ends whoever mounts", "systemd"]
            self.refuses(support.ROOT, wrap=wrap, modes=mode, parts=parts)

    def test_no_user_namespaces(self):
        """user.max_user_namespaces=0, in a user namespace of the test's own."""
        script = (
            f"echo 0 >/proc/sys/user/max_user_namespaces; exec "
            f"{shlex.join([str(support.lab()), CODE, 'a b'])}"
        )
        with self.clean():
            done = support.run(
                ["unshare", "-r", "sh", "-c", script], env=support.clean_env(HAFT_MODE="userns")
            )
        self.assertEqual((done.returncode, done.stdout), (125, ""))
        self.assertOneLine(done.stderr, "user namespace", "max_user_namespaces")
        with self.clean():
            done = support.run(
                ["unshare", "-r", "sh", "-c", script], env=support.clean_env(), cwd="/"
            )
        self.assertEqual((done.returncode, done.stdout), (5, self.plain().stdout), done.stderr)

    def test_mount_max_reached(self):
        prepare = (
            "f=$(mktemp); echo 'mount_max = 1' >$f; chmod 644 $f; mount --bind $f "
            "/etc/fuse.conf; rm -f $f"
        )
        hold = (
            f"; o=$(mktemp -d); chown {support.PERSON.name} $o; mount -i -t fuse.haft -o "
            f"ro,fd=3,rootmode=40000,user_id={support.PERSON.uid},group_id={support.PERSON.gid} "
            "haft $o 3<>/dev/fuse"
        )
        release = "; (sleep 1; umount $o; rmdir $o) >/dev/null 2>&1 &"
        self.refuses(
            support.PERSON,
            prepare=prepare + hold + release,
            modes="fusermount",
            parts=["too many", "mount_max"],
        )

    def test_all_fail(self):
        """No FUSE, and no place to unpack to."""
        full = (
            f"mount -t tmpfs none /mnt; cp {support.lab()} /mnt/lab; for d in /tmp /var/tmp "
            f"/run /dev/shm; do mount -t tmpfs -o size=16k,mode=1777 none $d; done"
        )
        line = self.refuses(
            support.PERSON,
            prepare=f"{NO_DEVICE}; {full}",
            bundle="/mnt/lab",
            parts=["mode userns", "mode fusermount", "mode extract", "needs"],
        )
        self.assertIn("MB", line)


class TestPlaces(ModesCase):
    """Where extract unpacks to."""

    def where(self, prepare, env=(), user=support.PERSON):
        code = "import lab; print(lab.__file__)"
        command = [*user.drop(), "env", "HAFT_MODE=extract", support.lab(), code]
        with self.clean(timeout=4.0):
            done = support.run(
                ["unshare", "-m", "sh", "-c", f"{prepare} exec {shlex.join(map(str, command))}"],
                env=support.clean_env(**dict(env)),
            )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_tmp(self):
        self.assertRegex(
            self.where(""), rf"^/tmp/{OWN}/lab-[0-9a-f]{{64}}/lab/site-packages/lab.py$"
        )
        self.assertRegex(self.where("", user=support.ROOT), r"^/tmp/haft-0/lab-")

    def test_full_disk_means_the_next_place(self):
        full = "mount -t tmpfs -o size=64k,mode=1777 none /tmp;"
        self.assertRegex(self.where(full), rf"^/var/tmp/{OWN}/")

    def test_noexec_matters_for_machine_code_only(self):
        noexec = "mount -t tmpfs -o noexec,mode=1777 none /tmp;"
        tree = support.write_tree(
            support.unique_dir(), {"where.py": "print(__file__)", "lib/x.so": "no library"}
        )
        code = support.build(tree, "-m", "where", output=support.unique_dir() / "where")
        command = [
            "unshare",
            "-m",
            "sh",
            "-c",
            f"{noexec} HAFT_MODE=extract exec {shlex.join([*support.PERSON.drop(), str(code)])}",
        ]
        with self.clean(timeout=4.0):
            self.assertRegex(support.run(command, check=True).stdout, f"^/var/tmp/{OWN}/")
        self.assertRegex(self.where(noexec), rf"^/tmp/{OWN}/")

    def test_TMPDIR(self):
        mine = support.unique_dir(mode=0o1777)
        self.assertTrue(self.where("", env={"TMPDIR": str(mine)}).startswith(f"{mine}/{OWN}/lab-"))

    @support.parametrised(
        tmpdir=[
            "relative",
            "/nonexistent",
            "/" + "x" * 5000,
            "/tmp/new\nline",
            "/tmp/a:b",
            "",
            "/etc",
            "/../tmp",
            "/proc/self",
        ]
    )
    def test_odd_TMPDIR(self, tmpdir):
        self.assertRegex(
            self.where("", env={"TMPDIR": tmpdir, "XDG_RUNTIME_DIR": tmpdir}), rf"^/tmp/{OWN}/"
        )

    @support.parametrised(planted=["foreign", "symlink", "open", "file"])
    def test_planted(self, planted):
        """Somebody has taken the name of our directory before us: another name beside it, or if it
        is ours and open to others another place. What is his is not touched."""
        plant = {
            "foreign": f"mkdir /tmp/{OWN} && chown 1 /tmp/{OWN}",
            "symlink": "mkdir /tmp/target && chmod 777 /tmp/target && ln -s /tmp/target "
            f"/tmp/{OWN}",
            "open": f"mkdir /tmp/{OWN} && chown {support.PERSON.uid} /tmp/{OWN} && chmod 777 "
            f"/tmp/{OWN}",
            "file": f"touch /tmp/{OWN}",
        }[planted]
        prepare = f"mount -t tmpfs -o mode=1777 none /tmp; {plant};"
        place = f"/var/tmp/{OWN}/" if planted == "open" else f"/tmp/{OWN}-[a-z2-7]{{8}}/"
        self.assertRegex(self.where(prepare), f"^{place}lab-")

    def test_no_sticky_bit(self):
        self.assertRegex(self.where("mount -t tmpfs -o mode=0777 none /tmp;"), rf"^/var/tmp/{OWN}/")

    def test_read_only_home_does_not_matter(self):
        self.assertRegex(self.where("", env={"HOME": "/proc"}), rf"^/tmp/{OWN}/")
