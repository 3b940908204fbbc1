"""The base class of the tests: both modes, time-outs."""

import contextlib
import functools
import inspect
import os
import pathlib
import re
import signal
import stat
import subprocess
import unittest

from support import clean, limit, paths
from support.running import MODES

__unittest = True  # keeps the frames of this file out of tracebacks

LONG = bool(os.environ.get("E2E_LONG"))  # run.py --long

# Decorator of tests that are too slow for every run.
long_test = unittest.skipUnless(LONG, "long; run.py --long")


def parametrised(**choices):
    """Decorator of a test method: one test per value. @parametrised(sig=["TERM", "HUP"]) makes
    test_x_TERM …"""

    def mark(function):
        function.parameters = {**getattr(function, "parameters", {}), **choices}
        return function

    return mark


def _expand(name, function, parameters):
    """Yields (name, function) for every combination of parameter values."""
    if not parameters:
        yield name, function
        return
    (parameter, values), *rest = parameters.items()
    for value in values:

        @functools.wraps(function)
        def one(self, *args, _value=value, _call=function, **kwargs):
            return _call(self, *args, **{parameter: _value, **kwargs})

        one.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
        word = re.sub(r"\W+", "_", str(value)).strip("_")
        yield from _expand(f"{name}_{word}", one, dict(rest))


class TestCase(unittest.TestCase):
    """A test method with a parameter `mode` becomes one test per mode (see support.MODES), unless
    @parametrised says others.

    Every test has `seconds` to finish; then it fails where it is, and the stacks are printed should
    even that hang.
    """

    seconds = 60
    longMessage = True
    maxDiff = 5000

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, function in list(vars(cls).items()):
            if not name.startswith("test") or not callable(function):
                continue
            parameters = dict(getattr(function, "parameters", {}))
            if "mode" in inspect.signature(function).parameters:
                parameters.setdefault("mode", MODES)
            if parameters:
                delattr(cls, name)
                for new_name, test in _expand(name, function, parameters):
                    test.__name__ = new_name
                    setattr(cls, new_name, test)

    def run(self, result=None):
        def expired(*_):
            raise AssertionError(f"test not finished within {self.seconds} s")

        previous = signal.signal(signal.SIGALRM, expired)
        limit.start(self.seconds)
        try:
            return super().run(result)
        finally:
            limit.stop()
            signal.signal(signal.SIGALRM, previous)

    def shortDescription(self):
        return None

    def clean(self, timeout=2.0, quiet_host=True):
        """A context that fails unless everything is gone after it; see support.Clean."""
        return clean.Clean(timeout, quiet_host)

    @contextlib.contextmanager
    def covered(self, directory, copy=False):
        """`directory` of the host is another one, empty or a copy, for this test: in the mount
        namespace of its worker."""
        if not os.environ.get("E2E_ISOLATED"):
            self.skipTest("changes the mounts of its host: only as root, in a worker of its own")
        own = paths.unique_dir("covered")
        if copy:
            subprocess.run(["cp", "-a", f"{directory}/.", own], check=True)
        own.chmod(stat.S_IMODE(os.stat(directory).st_mode))
        subprocess.run(["mount", "--bind", own, directory], check=True)
        try:
            yield pathlib.Path(directory)
        finally:
            subprocess.run(["umount", "-l", directory], check=True)

    def assertOneLine(self, text, *parts, start="haft: "):
        """`text` is exactly one line that begins with `start` and contains the parts."""
        self.assertEqual(text.count("\n"), 1, f"not one line: {text!r}")
        self.assertTrue(text.startswith(start), f"does not begin with {start!r}: {text!r}")
        for part in parts:
            self.assertIn(part, text)
