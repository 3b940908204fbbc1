"""A program on a terminal of its own."""

import fcntl
import os
import select
import termios
import time

from support import running


class Terminal:
    """A pty with a program as its session leader, or as a job of an interactive bash."""

    def __init__(self, command):
        self.master, slave = os.openpty()

        def own_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = running.start(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=own_terminal,
        )
        os.close(slave)
        self.seen = b""

    def write(self, text):
        os.write(self.master, text.encode())

    def read_some(self, timeout):
        """Reads what is there; False at the end or the time-out."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other side open
            return False
        self.seen += data
        return bool(data)

    def expect(self, text, timeout=10):
        """Waits for the text and forgets what came up to it."""
        deadline = time.monotonic() + timeout
        while text.encode() not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not self.read_some(left):
                raise AssertionError(
                    f"no {text!r} on the terminal: {self.seen.decode(errors='replace')!r}"
                )
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode(errors="replace")

    def close(self):
        if self.master is not None:
            os.close(self.master)
            self.master = None  # type: ignore[assignment]

    def wait(self):
        """Reads to the end, returns the status."""
        while self.read_some(10):
            pass
        return self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        running.kill_session(self.process.pid)
        self.process.wait()
        self.close()
