"""Tells `haft trace` which module imports which, and who opens the bundle's files.

sitecustomize imports this in a traced start only. Events are lines, their fields separated by tabs,
appended to the file that HAFT_TRACE_EVENTS names; times are CLOCK_MONOTONIC in nanoseconds:

    python  PID TID BEGIN ROOT EXECUTABLE        an interpreter started
    import  PID TID BEGIN END NAME IMPORTER ORIGIN CACHED
    failed  PID TID BEGIN END NAME IMPORTER      an import that raised
    open    PID TID BEGIN PATH MODULE            open() of a file in the bundle, outside of imports

The file is opened for each write and closed again: the program may close every descriptor, and gets
no new one.
"""

import _frozen_importlib
import _thread
import os
import sys
import time
from _collections import deque  # type: ignore[import-not-found]

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    from types import FrameType

_events = os.environ["HAFT_TRACE_EVENTS"]
_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_find_and_load = _frozen_importlib._find_and_load  # type: ignore[attr-defined]
_frozen = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_thread_state = _thread._local()
_pending = deque()
_enough = 64  # events kept back while an import goes on, at most


def _text(value: object) -> str:
    return str(value).encode("unicode_escape").decode("ascii")


def _tell(*fields: object) -> None:
    _pending.append("\t".join(map(_text, fields)) + "\n")


def _flush() -> None:
    lines = []
    try:
        while True:
            lines.append(_pending.popleft())
    except IndexError:
        pass
    if not lines:
        return
    try:
        fd = os.open(_events, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return  # another user, another root: not traced
    try:
        os.write(fd, "".join(lines).encode())
    except OSError:
        pass
    finally:
        os.close(fd)


def _module_of(frame: "FrameType | None") -> str:
    """The module whose code runs in a frame or, if that is the import system, in the nearest
    caller."""
    while frame is not None:
        if frame.f_code.co_filename not in _frozen:
            name = frame.f_globals.get("__name__", "?")
            if name not in ("importlib", "_haft_trace"):
                return name
        frame = frame.f_back
    return ""


def _traced_find_and_load(name: str, import_: object) -> object:
    if sys.modules.get(name) is not None:
        return _find_and_load(name, import_)
    importer = _module_of(sys._getframe(1))
    depth = getattr(_thread_state, "depth", 0)
    _thread_state.depth = depth + 1
    begin = time.monotonic_ns()
    kind = "failed"
    spec = None
    try:
        module = _find_and_load(name, import_)
        kind = "import"
        spec = getattr(module, "__spec__", None)
        return module
    finally:
        end = time.monotonic_ns()
        _thread_state.depth = depth
        fields = [kind, os.getpid(), _thread.get_native_id(), begin, end, name, importer]
        if kind == "import":
            fields += [getattr(spec, "origin", None) or "", getattr(spec, "cached", None) or ""]
        _tell(*fields)
        if depth == 0 or len(_pending) >= _enough:
            _flush()


# Tracebacks leave out the frames of the import system; this one is part of it now.
_traced_find_and_load.__code__ = _traced_find_and_load.__code__.replace(co_filename=_frozen[0])


def _audit(event: str, arguments: tuple) -> None:
    if event == "open":
        path = arguments[0]
        if type(path) is str and path.startswith(_root):
            frame = sys._getframe().f_back  # None: the interpreter itself prints a traceback
            if frame is not None and frame.f_code.co_filename not in _frozen:
                # The bundle's own module, if one of its functions called the library that opens the
                # file.
                module = _module_of(frame)
                while frame is not None and not frame.f_code.co_filename.startswith(_root):
                    frame = frame.f_back
                if frame is not None:
                    module = frame.f_globals.get("__name__", module)
                _tell(
                    "open", os.getpid(), _thread.get_native_id(), time.monotonic_ns(), path, module
                )
                if len(_pending) >= _enough:
                    _flush()
    elif event == "os.exec":
        _flush()


def start() -> None:
    import atexit

    _tell(
        "python", os.getpid(), _thread.get_native_id(), time.monotonic_ns(), _root, sys.executable
    )
    # What was imported already, by us or by a .pth file of the host.
    now = time.monotonic_ns()
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        origin = getattr(spec, "origin", None)
        if name != __name__ and type(origin) is str and origin.startswith(_root):
            cached = getattr(spec, "cached", None) or ""
            _tell(
                "import", os.getpid(), _thread.get_native_id(), now, now, name, "", origin, cached
            )
    _flush()
    _frozen_importlib._find_and_load = _traced_find_and_load  # type: ignore[attr-defined]
    sys.addaudithook(_audit)
    os.register_at_fork(before=_flush)
    atexit.register(_flush)
