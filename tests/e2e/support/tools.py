"""Tools that tests use and not every machine has."""

import functools
import os
import shutil
import subprocess
import unittest

from support import paths
from support.browser import chromium

# Their Debian packages.
TOOLS = {
    "busybox": "busybox-static",
    "bwrap": "bubblewrap",
    "chromium": "chromium",
    "pip": "python3-pip",
    "podman": "podman",
    "strace": "strace",
    "strip": "binutils",
    "systemd-nspawn": "systemd-container",
}


@functools.cache
def has(tool):
    if tool == "pip":
        command = [paths.PYTHON, "-m", "pip", "--version"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    return bool(chromium() if tool == "chromium" else shutil.which(tool))


def needs(tool):
    """Decorator of a test or a class of tests: without the tool they are skipped. With
    E2E_REQUIRE_TOOLS, which tools/test sets, they have failed: what is skipped there is never
    tested."""
    package = TOOLS[tool]

    def skip(test):
        if has(tool):
            return
        reason = f"needs {tool}; install {package}"
        if os.environ.get("E2E_REQUIRE_TOOLS"):
            raise AssertionError(reason)
        test.skipTest(reason)

    def mark(item):
        if isinstance(item, type) and issubclass(item, unittest.TestCase):
            plain = item.setUp

            def set_up(self):
                skip(self)
                plain(self)

            item.setUp = set_up  # type: ignore[method-assign]
            return item

        @functools.wraps(item)
        def function(self, *arguments, **named):
            skip(self)
            return item(self, *arguments, **named)

        return function

    return mark
