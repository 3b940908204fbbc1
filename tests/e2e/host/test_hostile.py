"""Other users and what they plant, environments and paths that try to reach haft itself: what runs
and who reads it stays the same."""

import concurrent.futures
import errno
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import support
from support import running, web

SECONDS = 40
STRANGER = support.User("stranger", 4242, 4242)
RACE = os.path.join(os.path.dirname(running.__file__), "race.py")


@unittest.skipIf(os.geteuid(), "needs root")
class TestRace(support.TestCase):
    """Another user races every start for the directory it makes in /tmp."""

    seconds = 600 if support.LONG else 120

    def bundle(self):
        """Of few files: the race is for their directory."""
        tree = support.unique_dir() / "lab"
        (tree / "lab_lazy").mkdir(parents=True)
        for name in ("lab.py", "lab_lazy/__init__.py", "lab_lazy/m5.py"):
            shutil.copy(support.lab_tree() / name, tree / name)
        return support.build(tree, "-m", "lab", output=support.unique_dir() / "lab")

    def race(self, mode, user):
        starts = 1700 if support.LONG else 170
        code = "import lab_lazy.m5; print(lab_lazy.m5.VALUE)"
        with self.clean(timeout=5.0):
            done = support.run(
                [
                    "unshare",
                    "-m",
                    "--propagation",
                    "private",
                    support.PYTHON,
                    RACE,
                    self.bundle(),
                    str(user.uid),
                    mode,
                    str(starts),
                    running.open_fuse_node(),
                    code,
                ],
                timeout=self.seconds - 20,
                check=True,
            )
        result = json.loads(done.stdout)
        self.assertEqual((result["strange"], result["stolen"], result["left"]), ([], 0, []), result)
        self.assertGreater(sum(result["planted"].values()), starts // 10, result)  # it was a race
        good, refused = 0, 0
        for out, err, status, count in result["ends"]:
            if status == 0:
                self.assertEqual((out, err), ("5\n", ""))
                good += count
            else:
                self.assertEqual((out, status), ("", 125), err)
                self.assertOneLine(err)
                refused += count
        self.assertEqual(good + refused, starts)
        self.assertGreater(good, starts // 20, result)
        return refused

    def test_mount_point(self):
        """The start that loses says so; there is no other place for its mount point."""
        self.race("fusermount", support.PERSON)

    @support.parametrised(user=[support.ROOT, support.PERSON])
    def test_unpacked(self, user):
        """The start that loses takes the next place."""
        self.assertEqual(self.race("extract", user), 0)


@unittest.skipIf(os.geteuid(), "needs root")
class TestReaders(support.TestCase):
    """Who reads a mount of `haft mount`: its user; others only if asked, and then as file modes
    say."""

    LOOK = (
        'for f in . site-packages/open.txt site-packages/private.txt; do for c in "stat -c '
        '%a" "ls -d" cat; do '
        '[ "$f$c" = .cat ] || { $c "$0/$f" >/dev/null 2>&1 && printf y || printf n; }; done; done'
    )

    def bundle(self):
        tree = support.write_tree(
            support.unique_dir(), {"open.txt": "o", "private.txt": "p", "reads.py": "pass\n"}
        )
        (tree / "private.txt").chmod(0o600)
        return support.build(tree, "-m", "reads", output=support.unique_dir() / "reads")

    def seen(self, mounter, readers, *options):
        """{reader's name: what LOOK says}, the mount made by `mounter`."""
        bundle, point = self.bundle(), mounter.own(support.unique_dir())
        looks = "; ".join(
            f"printf '\\n{reader} '; {' '.join(reader.drop())} sh -c '{self.LOOK}' \"$2\""
            for reader in readers
        )
        become = " ".join(mounter.drop())
        script = (
            f'mount --bind "$3" /dev/fuse && {become} "$0" mount {" ".join(options)} "$1" '
            f'"$2" && {{ {looks}; echo; '
            f'{become} "$0" umount "$2"; }}'
        )
        with self.clean():
            done = support.run(
                [
                    "unshare",
                    "-m",
                    "--propagation",
                    "private",
                    "sh",
                    "-c",
                    script,
                    support.HAFT,
                    bundle,
                    point,
                    running.open_fuse_node(),
                ]
            )
        if done.returncode:
            return done
        self.assertEqual(done.stderr, "")
        return dict(line.split() for line in done.stdout.splitlines() if line)

    def test_nobody_but_the_user(self):
        nothing, everything = "n" * 8, "y" * 8
        for user in (support.PERSON, support.NUMBER):
            self.assertEqual(
                self.seen(user, [user, STRANGER, support.ROOT]),
                {str(user): everything, "stranger": nothing, "root": nothing},
            )
        self.assertEqual(
            self.seen(support.ROOT, [support.ROOT, STRANGER]),
            {"root": everything, "stranger": nothing},
        )

    def test_all_if_asked_as_modes_allow(self):
        self.assertEqual(
            self.seen(support.ROOT, [support.ROOT, STRANGER], "--allow-other"),
            {"root": "y" * 8, "stranger": "yyyyyyyn"},
        )

    def test_user_may_not_ask_unless_the_host_allows_it(self):
        with open("/etc/fuse.conf") as file:
            if any(line.strip() == "user_allow_other" for line in file):
                self.skipTest("user_allow_other is set here")
        done = self.seen(support.PERSON, [support.ROOT], "--allow-other")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertOneLine(done.stderr, "user_allow_other")

    @support.parametrised(asked=[False, True])
    def test_httpd_of_root_serves_the_mount(self, asked):
        """Its workers are another user: they are refused everything, or what the modes of the files
        forbid."""
        point = support.unique_dir()
        configuration = support.unique_dir() / "httpd.conf"
        lines = [
            f"ServerRoot {configuration.parent}",
            "ServerName localhost",
            "PidFile httpd.pid",
            "ErrorLog /dev/stderr",
            "User www-data",
            "Group www-data",
            f"DocumentRoot {web.paths.unique_dir()}",
            f"Alias /mount {point}/site-packages",
            *(
                f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                for name in ("mpm_event", "authz_core", "alias", "dir")
            ),
            "<Directory />",
            "Require all granted",
            "</Directory>",
        ]
        with self.clean(quiet_host=False):
            support.haft("mount", *(["--allow-other"] if asked else []), self.bundle(), point)
            try:
                port = web.free_port()
                configuration.write_text("\n".join([*lines, f"Listen 127.0.0.1:{port}", ""]))
                (pathlib.Path(lines[6].split()[1]) / "index.html").write_text("ready")
                with web.Server(
                    ["/usr/sbin/apache2", "-f", configuration, "-DFOREGROUND"], port=port
                ) as server:
                    found = [
                        server.get(f"/mount/{name}.txt").status for name in ("open", "private")
                    ]
            finally:
                support.haft("umount", point)
        self.assertEqual(found, [200, 403] if asked else [403, 403])


FAKE = "import os\nopen(os.path.join({proof!r}, {name!r}), 'w').close()\n"
SHOW = (
    "import encodings, json, os, sys\n"
    "print(json.dumps([sys.path, sys.prefix, sys.flags, sys.executable, os.__file__, "
    "encodings.__file__, "
    "sorted({line.split(' - ')[0].split()[5] + ' ' + line.split(' - ')[1] for line in "
    "open('/proc/self/mountinfo') if 'fuse.haft' in line})]))"
)


@unittest.skipIf(os.geteuid(), "needs root")
class TestEnvironment(support.TestCase):
    """With fakes of the standard library's modules in the working directory and beside the
    bundle."""

    def places(self):
        """(directory with fakes, where fakes that ran leave a file)"""
        proof = support.unique_dir(mode=0o777)
        fakes = support.unique_dir(mode=0o755)
        for name in (
            "os",
            "encodings/__init__",
            "sitecustomize",
            "usercustomize",
            "lab_lazy/__init__",
            "_haft",
            "json",
            "site",
        ):
            (fakes / name).parent.mkdir(exist_ok=True)
            (fakes / f"{name}.py").write_text(
                FAKE.format(proof=str(proof), name=name.replace("/", "."))
            )
        for name in ("fusermount3", "python3", "haft-runtime", "mount"):
            (fakes / name).write_text(f"#!/bin/sh\ntouch {proof}/{name}\nexit 1\n")
            (fakes / name).chmod(0o755)
        (fakes / "pyvenv.cfg").write_text(f"home = {fakes}\n")
        (fakes / "python311._pth").write_text(f"{fakes}\n")
        return fakes, proof

    def environments(self, fakes):
        fakes = str(fakes)
        yield from (
            {"LD_LIBRARY_PATH": fakes},
            {"LD_ORIGIN_PATH": fakes},
            {"LD_DEBUG_OUTPUT": fakes},
            {"GCONV_PATH": fakes},
        )
        yield from (
            {"PATH": f"{fakes}:/usr/bin:/bin"},
            {"PATH": ""},
            {"PATH": "."},
            {"_FUSE_COMMFD": "1"},
            {"_FUSE_COMMFD": "77"},
            {"FUSERMOUNT_PROG": f"{fakes}/fusermount3"},
            {"FUSE_CONF": f"{fakes}/fuse.conf"},
        )
        for odd in (
            "relative",
            "/nonexistent",
            "/" + "x" * 5000,
            "/tmp/new\nline",
            "/tmp/a,allow_other,suid",
            "",
            fakes,
            "/proc/self",
        ):
            yield {"TMPDIR": odd}
        for odd in ("relative", "/nonexistent", "/tmp/a,allow_other", fakes):
            yield {"XDG_RUNTIME_DIR": odd}
        yield from (
            {"HOME": fakes},
            {"HOME": ""},
            {"LANGUAGE": fakes},
            {"LC_ALL": "C.UTF-8"},
            {"PWD": "/nonexistent"},
            {"_": f"{fakes}/python3"},
            {"VIRTUAL_ENV": fakes},
            {"HAFT_BUNDLE": f"{fakes}/lab"},
            {"MALLOC_CONF": "junk:true"},
        )

    @support.parametrised(haft_mode=["namespace", "userns", "fusermount", "extract"])
    def test_changes_nothing(self, haft_mode):
        fakes, proof = self.places()
        bundle = fakes / "lab"
        os.link(support.lab(), bundle)

        def shown(env):
            variables = [f"{name}={value}" for name, value in env.items()]
            done = support.run(
                ["/usr/bin/env", f"HAFT_MODE={haft_mode}", *variables, bundle, SHOW],
                mode=mode_of(haft_mode),
                cwd=fakes,
            )
            return done.stdout, done.stderr, done.returncode

        environments = list(self.environments(fakes))
        self.assertGreaterEqual(len(environments), 32)
        with self.clean(timeout=4.0, quiet_host=False), concurrent.futures.ThreadPoolExecutor(
            4
        ) as pool:
            expected, *found = pool.map(shown, [{}, *environments])
        self.assertEqual(expected[1:], ("", 0))
        path, *_, mounts = json.loads(expected[0])
        self.assertFalse({"", str(fakes)} & set(path), path)
        for mount in mounts:
            self.assertTrue({"ro", "nosuid", "nodev"} <= set(mount.split()[0].split(",")), mount)
            self.assertEqual(
                "allow_other" in mount, haft_mode == "namespace"
            )  # root's is for all: httpd's workers
        self.assertEqual(bool(mounts), haft_mode != "extract")
        for environment, result in zip(environments, found):
            with self.subTest(environment=environment):
                self.assertEqual(result, expected)
        self.assertEqual(os.listdir(proof), [])


def mode_of(haft_mode):
    """Who starts a bundle that is to take that mode."""
    return "namespace" if haft_mode == "namespace" else "userns"


@unittest.skipIf(os.geteuid(), "needs root")
class TestPaths(support.TestCase):
    @support.parametrised(haft_mode=["namespace", "userns", "fusermount"])
    def test_no_path_becomes_a_mount_option(self, haft_mode):
        names = [
            "with space",
            "comma,allow_other,suid",
            ",allow_other,suid,dev",
            "back\\slash",
            "new\nline",
            'quote"',
            "%s%n",
            "not-utf8-\udcff",
            "-o allow_other",
            "x" * 250,
        ]
        directory = support.unique_dir(mode=0o755)

        def shown(name):
            os.makedirs(directory / name[:200])
            path = directory / name[:200] / name
            os.link(support.lab(), path)
            return support.run(
                [path, SHOW], mode=mode_of(haft_mode), env=support.clean_env(HAFT_MODE=haft_mode)
            )

        with self.clean(timeout=4.0, quiet_host=False), concurrent.futures.ThreadPoolExecutor(
            4
        ) as pool:
            ends = list(pool.map(shown, names))
        for name, done in zip(names, ends):
            with self.subTest(name=name):
                self.assertEqual((done.stderr, done.returncode), ("", 0))
                for mount in json.loads(done.stdout)[-1]:
                    options, _, source = mount.partition(" ")
                    self.assertTrue({"ro", "nosuid", "nodev"} <= set(options.split(",")), mount)
                    self.assertTrue(source.startswith("fuse.haft haft "), mount)
                    self.assertEqual(
                        "allow_other" in mount, haft_mode == "namespace"
                    )  # root's is for all: httpd's workers


class TestReplaced(support.TestCase):
    def test_renamed_over_again_and_again(self, mode):
        """The running program keeps its files; every start gets one whole bundle, the old or the
        new."""
        times = 100
        directory = support.unique_dir(mode=0o755)
        path = directory / "lab"
        os.link(support.lab(), path)
        other = support.code_app("other", "print('other')")
        code = (
            "print('ready', flush=True); sys.stdin.read(); import lab_lazy.m9; "
            "print(lab_lazy.m9.VALUE)"
        )
        with self.clean(), support.start(
            [path, code], mode=mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            seen = set()
            for number in range(times):
                os.link(support.lab() if number % 2 else other, directory / "new")
                os.rename(directory / "new", path)
                if number in (0, 1, times - 2, times - 1):
                    seen.add(support.run([path, "print('lab')"], mode=mode, check=True).stdout)
            self.assertEqual(process.communicate(timeout=20)[0], "9\n")
            self.assertEqual(process.returncode, 0)
        self.assertEqual(seen, {"lab\n", "other\n"})

    def test_written_to_while_it_runs(self, mode):
        """The kernel refuses to open or cut it."""
        if os.uname().release.startswith(("6.11.", "6.12.0")):
            self.skipTest("these kernels allow it")
        path = support.unique_dir() / "lab"
        path.write_bytes(support.lab().read_bytes())
        path.chmod(0o755)
        code = (
            "print('ready', flush=True); sys.stdin.read(); import lab_lazy.m9; "
            "print(lab_lazy.m9.VALUE)"
        )
        with self.clean(), support.start(
            [path, code], mode=mode, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            for attempt in (
                lambda: open(path, "w").close(),
                lambda: open(path, "r+b").close(),
                lambda: os.truncate(path, 100),
            ):
                with self.assertRaises(OSError) as refused:
                    attempt()
                self.assertEqual(refused.exception.errno, errno.ETXTBSY)
            self.assertEqual(process.communicate(timeout=20)[0], "9\n")
