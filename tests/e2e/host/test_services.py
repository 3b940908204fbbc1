"""What systemd expects of a service and takes away from it, with the same system calls (see
docs/systemd.md)."""

import os
import shlex
import signal
import socket
import subprocess
import unittest

import support

SECONDS = 15
CODE = "import lab_lazy.m5, lab; print(lab_lazy.m5.VALUE, lab.__file__)"

# ProtectSystem=strict, PrivateTmp=yes, ProtectHome=yes
SANDBOX = (
    "mount --make-rslave / && mount --rbind / /mnt && mount -o remount,bind,ro /mnt && mount "
    "-t tmpfs -o mode=1777 none /mnt/tmp && "
    "mount -t tmpfs -o mode=1777 none /mnt/var/tmp && mkdir -p /mnt{scratch} && mount --rbind "
    "{scratch} /mnt{scratch} && cd /mnt && pivot_root . mnt && "
    "umount -l /mnt && "
)


@unittest.skipIf(os.geteuid(), "needs root")
class TestServices(support.TestCase):
    seconds = 240

    def test_notify(self, mode):
        """NOTIFY_SOCKET is the program's, and so is the main process."""
        address = str(support.unique_dir(mode=0o777) / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(address)
            os.chmod(address, 0o666)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            code = (
                "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                "s.connect(os.environ['NOTIFY_SOCKET']); s.send(b'READY=1'); sys.stdin.read()"
            )
            with self.clean(), support.start(
                [support.lab(), code],
                mode=mode,
                stdin=subprocess.PIPE,
                env=support.clean_env(NOTIFY_SOCKET=address),
            ) as process:
                listener.settimeout(10)
                data, ancillary, _, _ = listener.recvmsg(100, socket.CMSG_SPACE(12))
                self.assertEqual(data, b"READY=1")
                self.assertEqual(int.from_bytes(ancillary[0][2][:4], "little"), process.pid)
                process.stdin.close()

    def test_socket_activation(self, mode):
        """LISTEN_FDS and LISTEN_PID: descriptor 3 is what it was, the pid is right."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            code = (
                "import socket; assert os.environ['LISTEN_PID'] == str(os.getpid())\n"
                "print(socket.socket(fileno=3).getsockname()[1])"
            )
            # exec keeps the pid, which the shell puts into LISTEN_PID.
            command = [
                "sh",
                "-c",
                f'export LISTEN_PID=$$; exec "$@" 3<&{listener.fileno()}',
                "sh",
                support.lab(),
                code,
            ]
            with self.clean():
                done = support.run(
                    command,
                    mode=mode,
                    pass_fds=[listener.fileno()],
                    env=support.clean_env(LISTEN_FDS="1"),
                )
            self.assertEqual((done.stdout, done.stderr), (f"{listener.getsockname()[1]}\n", ""))

    def test_stop_lets_the_program_read_while_it_shuts_down(self, mode):
        """SIGTERM to the whole control group, as KillMode=control-group sends it: helpers ignore
        it."""
        code = (
            "def stop(*_):\n"
            "  import lab_lazy.m150; os.write(1, b'%d\\n' % lab_lazy.m150.VALUE); os._exit(0)\n"
            "signal.signal(signal.SIGTERM, stop); print('ready', flush=True)\n"
            "while True: time.sleep(1)"
        )
        known = support.haft_processes()
        with self.clean(), support.start(
            [support.lab(), code], mode=mode, stdout=subprocess.PIPE, text=True
        ) as process:
            process.stdout.readline()
            for pid in {*support.haft_processes() - known, process.pid}:
                os.kill(pid, signal.SIGTERM)
            self.assertEqual(process.communicate(timeout=10)[0], "150\n")
            self.assertEqual(process.returncode, 0)

    @support.parametrised(user=[support.ROOT, support.PERSON], modes=["", "extract"])
    def test_strict_sandbox(self, user, modes):
        """Read-only host, private /tmp, no new privileges."""
        command = [
            "setpriv",
            "--no-new-privs",
            "--",
            *user.drop(),
            str(support.lab()),
            CODE,
        ]
        prepare = SANDBOX.format(scratch=support.scratch())
        with self.clean(timeout=4.0):
            done = support.run(
                ["unshare", "-m", "sh", "-c", f"{prepare} cd / && exec {shlex.join(command)}"],
                env=support.clean_env(HAFT_MODE=modes),
            )
        # Without fusermount3's power a user namespace is left, in which he would lose his groups.
        announced = user is support.PERSON and not modes
        self.assertEqual((done.returncode, "would lose groups" in done.stderr), (0, announced))
        self.assertEqual(done.stderr.count("\n"), announced)
        self.assertTrue(
            done.stdout.startswith("5 /tmp/haft-" if modes or announced else "5 /run/haft/lab/"),
            done.stdout,
        )

    def test_root_without_capabilities(self):
        """CapabilityBoundingSet= : unpacked. A user namespace would take the others away, and
        without CAP_SETFCAP root cannot be mapped into one."""
        for gone in ("-sys_admin", "-all"):
            command = ["setpriv", f"--bounding-set={gone}", "--", str(support.lab()), CODE]
            with self.clean(timeout=4.0):
                done = support.run(command)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith("5 /tmp/haft-0/"), done.stdout + done.stderr)

    def test_restarted_again_and_again(self, mode):
        """Restart=always: the mount table does not grow, nobody waits for anything."""
        with self.clean(timeout=4.0):
            for _ in range(200 if support.LONG else 8):
                process = support.start(
                    [support.lab(), "print('ready', flush=True); time.sleep(60)"],
                    mode=mode,
                    stdout=subprocess.PIPE,
                )
                process.stdout.readline()
                process.send_signal(signal.SIGTERM)
                process.wait(5)
                process.stdout.close()
