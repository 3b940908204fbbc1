"""A program that answers questions about its host, in a plain directory and in a bundle."""

import contextlib
import os
import subprocess

import support

# Answers each line of standard input with the value of that expression, or the error.
ANSWER = (
    "import pwd, socket, subprocess\n"
    "for line in sys.stdin:\n"
    "  try: print(ascii(eval(line)), flush=True)\n"
    "  except OSError as e: print(ascii(type(e).__name__ + ' ' + str(e.errno)), flush=True)\n"
    "  except KeyError as e: print(ascii('KeyError'), flush=True)"
)


class _Asked:
    def __init__(self, process):
        self._process = process
        self.pid = process.pid

    def __call__(self, expression):
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        return eval(self._process.stdout.readline())


@contextlib.contextmanager
def asked(command, mode, **options):
    """A function that has an expression evaluated by the program, which runs until the context
    ends."""
    with support.start(
        [*command, ANSWER],
        mode=mode,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    ) as process:
        ask = _Asked(process)
        assert ask("1 + 1") == 2
        try:
            yield ask
            process.stdin.close()
            assert process.wait(20) == 0
        finally:
            process.kill()


def plain():
    return [support.PYTHON, "-B", support.lab_tree() / "lab.py"]


class HostCase(support.TestCase):
    """Changes its host, which is the mount namespace of this file's worker."""

    def setUp(self):
        if not os.environ.get("E2E_ISOLATED"):
            self.skipTest("changes the mounts of its host: only in a worker of its own, as root")
