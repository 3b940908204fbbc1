"""haft ps finds what runs, whatever its mode, and tells how to look inside."""

import json
import os
import signal
import subprocess
import unittest

import support

SECONDS = 15
MODES = ("namespace", "userns", "fusermount", "extract")


@unittest.skipIf(os.geteuid(), "needs root")
class TestPs(support.TestCase):
    def start(self, haft_mode, code="print('ready', flush=True); sys.stdin.read()"):
        mode = "namespace" if haft_mode == "namespace" else "userns"
        process = support.start(
            [support.lab(), code],
            mode=mode,
            env=support.clean_env(HAFT_MODE=haft_mode),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def ps(self, mode=None):
        return json.loads(support.haft("ps", "--json", mode=mode).stdout)

    def test_nothing(self, mode):
        self.assertEqual(self.ps(mode), [])
        self.assertEqual(support.haft("ps", mode=mode).stdout, "no bundle is running\n")

    def test_all_modes_as_root_and_own_ones_as_user(self):
        with self.clean(timeout=4, quiet_host=False):
            processes = {haft_mode: self.start(haft_mode) for haft_mode in MODES}
            pids = {haft_mode: process.pid for haft_mode, process in processes.items()}
            everything = {bundle["mode"]: bundle for bundle in self.ps()}
            own = {bundle["mode"]: bundle for bundle in self.ps("userns")}
            for process in processes.values():
                process.communicate()
        self.assertEqual(set(everything), set(MODES))
        self.assertEqual(set(own), set(MODES) - {"namespace"})
        image_id = support.info(support.lab())["image_id"]
        for found in (everything, own):
            for haft_mode, bundle in found.items():
                self.assertEqual((bundle["name"], bundle["image_id"]), ("lab", image_id), haft_mode)
                self.assertEqual(bundle["pids"], [pids[haft_mode]], haft_mode)
                self.assertLess(bundle["uptime"], 60)
                self.assertEqual("requests" in bundle, haft_mode != "extract", haft_mode)
                if haft_mode != "extract":
                    self.assertGreater(bundle["requests"], 3)
                    self.assertEqual(bundle["server"]["crashes"], 0)
                if haft_mode in ("namespace", "userns"):
                    self.assertEqual(bundle["mount"], "/run/haft/lab")

    def test_how_to_look_inside(self, mode):
        with self.clean():
            process = self.start(mode)
            table = support.haft("ps", mode=mode).stdout
            self.assertIn(f"ls /proc/{process.pid}/root/run/haft/lab\n", table)
            self.assertIn(f"haft exec --attach {process.pid} -- ls /run/haft/lab\n", table)
            [bundle] = self.ps(mode)
            listed = support.run(["ls", bundle["inside"]], mode=mode, check=True).stdout
            self.assertIn("site-packages", listed)
            attached = support.haft(
                "exec", "--attach", str(process.pid), "--", "ls", "/run/haft/lab", mode=mode
            ).stdout
            self.assertEqual(attached, listed)
            process.communicate()

    def test_children_and_crashes(self, mode):
        with self.clean():
            process = self.start(
                mode,
                "child = os.fork()\nif child == 0: sys.stdin.read(); os._exit(0)\n"
                "print('ready', flush=True); os.wait()",
            )
            [bundle] = self.ps(mode)
            self.assertEqual(len(bundle["pids"]), 2)
            self.assertEqual(bundle["pids"][0], process.pid)
            os.kill(bundle["server"]["pid"], signal.SIGKILL)
            support.wait_until(lambda: support.state(bundle["server"]["pid"]) is None, 2)
            [after] = self.ps(mode)
            if "server" in after:  # not before Linux 6.9
                self.assertEqual(after["server"]["crashes"], 1)
                self.assertIn("killed by signal 9", after["server"]["last_crash"])
            process.communicate()

    def test_stopped_server_does_not_stop_ps(self, mode):
        with self.clean():
            process = self.start(mode)
            server = self.ps(mode)[0]["server"]["pid"]
            os.kill(server, signal.SIGSTOP)
            [bundle] = self.ps(mode)
            self.assertEqual((bundle["name"], bundle["pids"]), ("lab", [process.pid]))
            os.kill(server, signal.SIGCONT)
            process.communicate()

    def test_mount_on_the_host(self):
        directory = support.unique_dir()
        with self.clean(quiet_host=False):
            support.haft("mount", support.lab(), directory)
            [bundle] = self.ps()
            self.assertEqual(
                (bundle["mode"], bundle["mount"], bundle["pids"]), ("mount", str(directory), [])
            )
            support.haft("umount", directory)
