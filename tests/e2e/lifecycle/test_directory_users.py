"""Who keeps an unpacked tree or a mount on the host: everything that came from the program, however
it looks, and nothing that only speaks of it."""

import os
import pathlib
import subprocess
import time
import unittest

import support

WHO = ["root", "person"] if os.geteuid() == 0 else ["person"]

TELL = "import lab_lazy; print(lab_lazy.__file__.split('/site-packages')[0], flush=True)"

# The program prints where its files are, and leaves a daemon: in a session of its own, without
# descriptors. CHANGE is what it does to itself. It imports something a second later.
DAEMON = f"""
import ctypes
{TELL}
proof = os.open(sys.argv[2], os.O_WRONLY)
if CHANGE == "environment":  # as setproctitle does, which puts the title there
    fields = open("/proc/self/stat").read().rpartition(")")[2].split()
    ctypes.memset(int(fields[47]), 0, int(fields[48]) - int(fields[47]))
if os.fork():
    os._exit(0)
os.setsid()
os.chdir("/")
os.dup2(proof, 1)
os.dup2(proof, 2)
os.closerange(3, 64)
os.close(0)
if CHANGE == "name":
    ctypes.CDLL(None).prctl(15, b"haft-worker")
if CHANGE == "rights":
    os.setgroups([]); os.setgid(33); os.setuid(33)
if CHANGE == "execution":
    os.execve("/bin/sleep", ["sleep", "1.5"], dict())
time.sleep(1)
import lab_lazy.m7
print(lab_lazy.m7.VALUE)
"""

# Each process starts the next one and ends.
RELAY = f"""
{TELL}
end = time.monotonic() + 5
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    time.sleep(0.05)
"""

NO_PTRACE = (
    "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,"
    "+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"
)


def start(haft_mode, who, code, *arguments, prefix=()):
    """What the program printed: the directory of its files."""
    command = [*prefix, support.lab(), code, *arguments]
    if who == "person":
        command = support.as_user(command)
    done = support.run(command, env=support.clean_env(HAFT_MODE=haft_mode), check=True)
    return pathlib.Path(done.stdout.strip())


class TestDirectoryUsers(support.TestCase):
    def check_daemon(self, haft_mode, who, change, prefix=()):
        proof = support.unique_dir(mode=0o777) / "proof"
        proof.touch()
        proof.chmod(0o666)
        code = DAEMON.replace("CHANGE", repr(change))
        with self.clean(timeout=6, quiet_host=False):
            tree = start(haft_mode, who, code, proof, prefix=prefix)
            time.sleep(0.7)
            self.assertTrue(tree.parent.is_dir(), tree)
            self.assertTrue(
                support.wait_until(lambda: not tree.parent.exists(), timeout=7), f"{tree} is left"
            )
        if change != "execution":
            self.assertEqual(proof.read_text(), "7\n")

    @support.parametrised(haft_mode=["extract", "fusermount"], who=WHO)
    def test_environment_is_overwritten(self, haft_mode, who):
        self.check_daemon(haft_mode, who, "environment")

    @support.parametrised(who=WHO)
    def test_is_called_like_a_helper(self, who):
        self.check_daemon("extract", who, "name")

    @support.parametrised(who=WHO)
    def test_executed_something_without_environment(self, who):
        self.check_daemon("extract", who, "execution")

    @unittest.skipUnless(os.geteuid() == 0, "gives up the rights of root")
    def test_gave_up_its_rights(self):
        self.check_daemon("extract", "root", "rights")

    @unittest.skipUnless(os.geteuid() == 0, "gives up the rights of root")
    def test_gave_up_its_rights_where_root_may_not_look(self):
        """As in a container without CAP_SYS_PTRACE."""
        self.check_daemon("extract", "root", "rights", prefix=["setpriv", NO_PTRACE])

    @unittest.skipUnless(os.geteuid() == 0, "needs a second user")
    def test_words_of_another_user(self):
        """In arguments, environment, a name, and a working directory that only ends like it."""
        code = f"{TELL}; sys.stdin.read()"
        with support.start(
            [support.lab(), code],
            env=support.clean_env(HAFT_MODE="extract"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            tree = pathlib.Path(program.stdout.readline().strip())
            fake = support.unique_dir(mode=0o755)
            inner = pathlib.Path(f"{fake}{tree}")
            inner.mkdir(parents=True)
            talker = support.start(
                support.as_user(["bash", "-c", f"cd {inner}; exec -a {tree}/x sleep 30"]),
                env=support.clean_env(PYTHONPATH=f"{tree}/.haft/py", X=str(tree)),
                start_new_session=True,
            )
            try:
                time.sleep(0.3)
                program.communicate("")
                self.assertTrue(
                    support.wait_until(lambda: not tree.exists(), timeout=5), f"{tree} is left"
                )
            finally:
                talker.kill()
                talker.wait()

    def test_users_that_come_and_go_cost_little(self):
        """Not even 0.1 % of a core after a tenth of a second."""
        with self.clean(timeout=8, quiet_host=False):
            start("extract", WHO[0], RELAY)
            time.sleep(4)
            used = 0.0
            for pid in support.haft_processes():
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.assertLess(used, 0.2)
