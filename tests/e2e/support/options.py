"""haft build with options, from wheels that the test has made."""

import support
from support.wheels import wheel

TOOL = """\
import os, sys
import dep

def main():
    print("tool", dep.NAME, sys.argv[1:])

def show():
    print({name: value for name, value in os.environ.items() if name.startswith("TEST_")},
        sys.argv[1:], sys.flags.optimize)

def code():
    exec(sys.argv[1])
"""


class OptionCase(support.TestCase):
    def setUp(self):
        self.dir = support.unique_dir()
        self.out = support.unique_dir("out")
        self.temporary = support.unique_dir("tmp")

    def env(self, **more):
        """Pip sees only what the test gives it."""
        return support.clean_env(
            TMPDIR=str(self.temporary),
            PIP_NO_INDEX="1",
            PIP_CONFIG_FILE="/dev/null",
            HOME=str(self.temporary),
            PIP_NO_CACHE_DIR="1",
            PIP_ROOT_USER_ACTION="ignore",
            **more,
        )

    def haft(self, *arguments, check=True, **options):
        env = options.pop("env", None) or self.env()
        return support.haft(
            "build", *arguments, check=check, env=env, **{"cwd": self.dir, **options}
        )

    def says(self, out, *command, status=0, **variables):
        with self.clean():
            done = support.run(command, env=support.clean_env(**variables))
        self.assertEqual((done.stdout, done.stderr, done.returncode), (out, "", status))


def make_wheels(directory):
    directory.mkdir(exist_ok=True)
    wheel(directory, "dep", "2.0", {"dep.py": "NAME = 'dep'\n"})
    wheel(
        directory,
        "tool",
        "1.0",
        {"tool.py": TOOL},
        requires=["dep"],
        scripts={"hello.sh": "#!/bin/sh\necho hello $1\n"},
        entry_points="[console_scripts]\ntool = tool:main\nTool-Show = tool:show [extra]\n"
        "tool-code = tool:code\n",
    )
    return directory
