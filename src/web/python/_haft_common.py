"""What the modules of a bundle that serves share."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import argparse
    from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Refusal(Exception):
    """Why nothing is started: "WHAT: WHY; REMEDY", one line."""


def split_application(text: str) -> tuple[str, str, bool]:
    """("shop.wsgi", "application", whether that is a function that makes the application:
    "shop:create()")"""
    module, _, name = text.partition(":")
    factory = name.endswith("()")
    return module, (name[:-2] if factory else name) or "application", factory


def load_application(text: str) -> Any:
    module, name, factory = split_application(text)
    __import__(module)
    found: Any = sys.modules[module]
    for attribute in name.split("."):
        found = getattr(found, attribute)
    return found() if factory else found


def runtime_directory() -> str | None:
    """The private directory in memory that the start made in the mount, which ends with it; None
    without one."""
    path = os.path.join(ROOT, ".haft", "run")
    try:
        own = os.lstat(path)
        usable = own.st_uid == os.geteuid() and own.st_dev != os.lstat(os.path.dirname(path)).st_dev
    except OSError:
        return None
    return path if usable and os.access(path, os.W_OK | os.X_OK) else None


def address(options: argparse.Namespace) -> str:
    """HOST:PORT as servers want it; an IPv6 address stands in brackets."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{host}:{options.port}"


def bundled(path: str) -> str | None:
    """A file that --bundle-httpd or --bundle-python put into the image, or None."""
    path = os.path.join(ROOT, "usr", path)
    return path if os.path.exists(path) else None
