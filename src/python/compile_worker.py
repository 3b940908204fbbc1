"""Compiles batches of Python sources for `haft build`; runs in the interpreter the bundle is for.

Descriptor 3 is a socket. haft sends batches: a count (4 bytes), then for every file the length of
its path (4), the length of its source (4), path, source. The answer: for every file a status (1
byte: 0 compiled, 1 refused), a length (4), and as many bytes: the .pyc file, or in one line why
not. Little-endian. Ends at the end of the input.

What marshal writes depends on the state of the interpreter: strings are marked as shared if
anything else refers to them. So every batch is compiled in a child forked from this process, which
has done nothing but fork: the bytes depend on the batch alone, not on the batches this worker
compiled before.
"""

import sys

if sys.path and sys.path[0] == "":  # the current directory; nothing must be imported from it
    del sys.path[0]

import _signal  # type: ignore[import-not-found]
import gc
import importlib.util
import marshal
import posix

CHANNEL = 3
UNCHECKED_HASH = 1  # flags of PEP 552


def read_exactly(size: int) -> bytes:
    """Fewer bytes at the end of the input."""
    data = bytearray()
    while len(data) < size:
        part = posix.read(CHANNEL, min(size - len(data), 1 << 20))
        if not part:
            break
        data += part
    return bytes(data)


def read_number() -> int:
    """0 at the end of the input."""
    data = read_exactly(4)
    return int.from_bytes(data, "little")


def write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[posix.write(CHANNEL, view) :]


def to_pyc(path: bytes, source: bytes) -> bytes:
    name = path.decode("utf-8", "surrogateescape")
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    header = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little")
    return header + importlib.util.source_hash(source) + marshal.dumps(code)


def reason(error: Exception) -> bytes:
    text = str(error.msg if isinstance(error, SyntaxError) else error)
    text = "".join(c if c.isprintable() else "?" for c in text)[:200]
    text = type(error).__name__ + (": " + text if text else "")
    if isinstance(error, SyntaxError) and error.lineno:
        text += f" (line {error.lineno})"
    return text.encode("utf-8", "replace")


def compile_batch() -> bool:
    """False at the end of the input."""
    count = read_number()
    if count == 0:
        return False
    files = []
    for _ in range(count):
        path_size = read_number()
        source_size = read_number()
        files.append((read_exactly(path_size), read_exactly(source_size)))
    for path, source in files:
        try:
            status, data = 0, to_pyc(path, source)
        except Exception as error:  # whatever a source does to the compiler, the others go on
            status, data = 1, reason(error)
        write_all(bytes([status]) + len(data).to_bytes(4, "little"))
        write_all(data)
    return True


def main() -> None:
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(
            _signal.SIGINT, _signal.SIG_DFL
        )  # no traceback when the user interrupts the build
    gc.disable()
    while True:
        child = posix.fork()
        if child == 0:
            status = 2
            try:
                status = 0 if compile_batch() else 1
            except OSError:  # haft is gone
                pass
            finally:
                posix._exit(status)
        _, status = posix.waitpid(child, 0)
        if status != 0:
            # 1: the end. Anything else haft notices by the missing answer.
            posix._exit(0 if posix.WIFEXITED(status) and posix.WEXITSTATUS(status) == 1 else 3)


main()
