"""haft install, list, uninstall: what a program writes down works later."""

import os
import subprocess

import support

SECONDS = 60

# Writes a hook that starts it again, as pre-commit, ipykernel and crontabs do.
TOOL = """
import subprocess, sys
def main():
    if sys.argv[1:] == ["hook"]:
        with open("hook", "w") as file:
            file.write("#!/bin/sh\\nexec %s -m tool run\\n" % sys.executable)
    elif sys.argv[1:] == ["child"]:
        code = "import tool; print(tool.VERSION)"
        subprocess.run([sys.executable, "-c", code], check=True)
    elif sys.argv[1:] == ["spawn"]:
        import multiprocessing, tool
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
    else:
        print("ran", VERSION, sys.argv[1:])
def other():
    print("other", VERSION)
VERSION = 1
if __name__ == "__main__":
    main()
"""
SCRIPTS = "[console_scripts]\ntool = tool:main\ntool-other = tool:other\n"


class TestInstall(support.TestCase):
    def setUp(self):
        self.place = support.unique_dir()
        os.chmod(self.place, 0o755)
        self.prefix = self.place / "a prefix"

    def bundle(self, version=1, scripts=SCRIPTS):
        tree = support.write_tree(
            support.unique_dir(),
            {
                "tool.py": TOOL.replace("VERSION = 1", f"VERSION = {version}"),
                "tool-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
                "tool-1.dist-info/entry_points.txt": scripts,
            },
        )
        return support.build(tree, "-c", "tool", output=support.unique_dir() / "tool")

    def install(self, *arguments, status=0):
        done = support.haft("install", "--prefix", self.prefix, *arguments, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr if status else done.stdout

    def run_installed(self, *command, cwd=None):
        return subprocess.run(
            [self.prefix / command[0], *command[1:]],
            check=True,
            capture_output=True,
            text=True,
            env=support.clean_env(),
            cwd=cwd or self.place,
        ).stdout

    def links(self):
        return sorted(os.listdir(self.prefix / "bin"))

    def test_what_it_writes_down_works_from_any_process(self):
        self.install(self.bundle())
        self.run_installed("bin/tool", "hook")
        hook = (self.place / "hook").read_text()
        self.assertIn("/lib/haft/tool/bin/python -m tool", hook)
        (self.place / "hook").write_text(hook.replace("a prefix", "a\\ prefix"))
        done = subprocess.run(
            ["sh", "./hook"], check=True, capture_output=True, text=True, env={}, cwd=self.place
        )
        self.assertEqual(done.stdout, "ran 1 ['run']\n")

    def test_children_by_sys_executable(self):
        self.install(self.bundle())
        self.assertEqual(self.run_installed("bin/tool", "child"), "1\n")
        self.assertEqual(self.run_installed("bin/tool", "spawn"), "[1, 2]\n")

    def test_links_run_what_they_are_called(self):
        out = self.install(self.bundle())
        self.assertIn(": tool\n", out)
        self.assertIn("is not in PATH\n", out)
        self.assertEqual(self.links(), ["tool"])
        self.assertEqual(self.run_installed("lib/haft/tool/bin/tool-other"), "other 1\n")
        self.assertEqual(
            self.run_installed("lib/haft/tool/bin/python3", "-c", "import tool; tool.other()"),
            "other 1\n",
        )
        self.install("--all", self.bundle())
        self.assertEqual(self.links(), ["tool", "tool-other"])
        self.assertEqual(self.run_installed("bin/tool-other"), "other 1\n")
        # A link to a link, in a directory of somebody else.
        os.symlink("a prefix/bin/tool-other", self.place / "elsewhere")
        done = subprocess.run(
            [self.place / "elsewhere"], check=True, capture_output=True, text=True
        )
        self.assertEqual(done.stdout, "other 1\n")

    def test_upgrade_replaces_file_and_links(self):
        self.install("--all", self.bundle())
        self.install(
            "--all",
            self.bundle(
                version=2, scripts="[console_scripts]\ntool = tool:main\nnew = tool:other\n"
            ),
        )
        self.assertEqual(self.links(), ["new", "tool"])
        self.assertEqual(self.run_installed("bin/new"), "other 2\n")
        inside = sorted(os.listdir(self.prefix / "lib/haft/tool/bin"))
        self.assertEqual(inside, ["new", "python", "python3", "tool"])

    def test_list_and_uninstall_leave_what_is_not_theirs(self):
        self.install(self.bundle())
        self.install("--name", "second", "--force", self.bundle(version=2))
        (self.prefix / "bin/mine").write_text("mine")
        listed = support.haft("list", "--prefix", self.prefix).stdout.splitlines()
        self.assertEqual(
            [line.split("  ")[:2] for line in listed], [["second", "tool"], ["tool", ""]]
        )
        for name in ("tool", "second"):
            support.haft("uninstall", "--prefix", self.prefix, name)
        self.assertEqual(self.links(), ["mine"])
        self.assertEqual(os.listdir(self.prefix / "lib/haft"), [])
        done = support.haft("uninstall", "--prefix", self.prefix, "tool", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertOneLine(done.stderr, "not installed")

    def test_nothing_changes_where_a_command_of_that_name_is(self):
        os.makedirs(self.prefix / "bin")
        (self.prefix / "bin/tool").write_text("mine")
        self.assertOneLine(self.install(self.bundle(), status=1), "is there already", "--force")
        self.assertEqual(sorted(os.listdir(self.prefix)), ["bin"])
        self.assertEqual((self.prefix / "bin/tool").read_text(), "mine")

    def test_what_does_not_start_by_itself_is_refused(self):
        path = self.place / "x"
        path.write_text("no bundle")
        self.assertOneLine(self.install(path, status=1))
        self.assertFalse(self.prefix.exists())
