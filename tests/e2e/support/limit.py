"""The time limit of a test. It stands still while something that all tests share is being made."""

import contextlib
import faulthandler
import signal


def start(seconds):
    """SIGALRM after so many seconds; should even that hang, all stacks and the end."""
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(seconds + 15, exit=True)


def stop():
    """Ends the limit; returns the seconds that were left, 0 if there was none."""
    faulthandler.cancel_dump_traceback_later()
    return signal.alarm(0)


@contextlib.contextmanager
def paused():
    """What happens inside does not count."""
    left = stop()
    try:
        yield
    finally:
        if left:
            start(left)
