"""What is looked at before a web server is started: what an Apache module needs and whether the
loader will find it, and what another user may do. 64-bit, little-endian: what haft runs on."""

import os
import re
import struct
import sys

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    from typing import Callable, Iterable, Optional

    Check = Callable[[], Optional[str]]  # None: all is well

_LIBRARY_DIRECTORIES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")


def needed_libraries(path: str) -> "list[str]":
    """The DT_NEEDED names of an ELF file. ValueError if it is none, OSError if it cannot be
    read."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
        raise ValueError("not a 64-bit ELF file")
    try:
        return _needed(data)
    except (struct.error, IndexError):
        raise ValueError("damaged") from None


def _needed(data: bytes) -> "list[str]":
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    loads, dynamic = [], None
    for number in range(count):
        kind, _, start, address, _, length = struct.unpack_from(
            "<IIQQQQ", data, offset + number * size
        )
        if kind == 1:
            loads.append((address, start, length))
        elif kind == 2:
            dynamic = (start, length)
    if dynamic is None:
        return []
    names, strings = [], None
    for position in range(dynamic[0], sum(dynamic), 16):
        tag, value = struct.unpack_from("<qQ", data, position)
        if tag == 0:
            break
        if tag == 1:
            names.append(value)
        elif tag == 5:
            strings = next(
                (
                    start + value - address
                    for address, start, length in loads
                    if address <= value < address + length
                ),
                None,
            )
    if strings is None:
        raise ValueError("no string table")
    return [
        data[strings + name : data.index(b"\0", strings + name)].decode("ascii", "replace")
        for name in names
    ]


def find_library(name: str, multiarch: str = "", cache: str = "/etc/ld.so.cache") -> "str | None":
    """The path at which the loader finds a library; None if it does not."""
    searched = os.environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
    paths = [os.path.join(directory, name) for directory in searched]
    try:
        with open(cache, "rb") as file:
            data = file.read()
        ending = b"/" + name.encode() + b"\0"
        at = data.find(ending)
        while at >= 0:
            paths.append(os.fsdecode(data[data.rfind(b"\0", 0, at) + 1 : at + len(ending) - 1]))
            at = data.find(ending, at + 1)
    except OSError:
        pass
    for directory in _LIBRARY_DIRECTORIES:
        if multiarch:
            paths.append(f"{directory}/{multiarch}/{name}")
        paths.append(f"{directory}/{name}")
    return next(filter(is_elf, paths), None)


def is_elf(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def needed_python(path: str) -> "tuple[str, str] | None":
    """The libpython that an Apache module is linked with, as ("libpython3.11.so.1.0", "3.11");
    None without one. Fails as needed_libraries() does."""
    for name in needed_libraries(path):
        match = re.match(r"libpython(\d+\.\d+)[a-z]*\.so", name)
        if match:
            return name, match[1]
    return None


def own_library(name: str) -> "str | None":
    """The path of this Python's own library of that name, wherever the loader looks."""
    import sysconfig

    path = os.path.join(sysconfig.get_config_var("LIBDIR") or "", name)
    return path if is_elf(path) else None


def host_library(name: str) -> "str | None":
    """The path at which the loader of the host's programs finds the library."""
    import sysconfig

    return find_library(name, sysconfig.get_config_var("MULTIARCH") or "")


def python_version() -> str:
    return "{}.{}".format(*sys.version_info[:2])


def first_problem(checks: "Iterable[Check]") -> "str | None":
    """What the first check that fails says; None if all is well."""
    return next(filter(None, (check() for check in checks)), None)


def first_problem_in_child(checks: "Iterable[Check]") -> "str | None":
    """The same in a child, for checks that become another user: no way leads back to root."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        problem: str | None = "checks failed"
        try:
            problem = first_problem(checks)
        finally:
            os.write(writer, os.fsencode(problem or ""))
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        problem = os.fsdecode(pipe.read())
    os.waitpid(child, 0)
    return problem or None
