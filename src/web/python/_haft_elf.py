"""What a shared object needs, and whether the loader will find it. 64-bit, little-endian: what haft
runs on."""

from __future__ import annotations

import os
import struct

_LIBRARY_DIRECTORIES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")


def needed_libraries(path: str) -> list[str]:
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


def _needed(data: bytes) -> list[str]:
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
                start + value - address
                for address, start, length in loads
                if address <= value < address + length
            )
    if strings is None:
        raise ValueError("no string table")
    return [
        data[strings + name : data.index(b"\0", strings + name)].decode("ascii", "replace")
        for name in names
    ]


def find_library(name: str, multiarch: str = "", cache: str = "/etc/ld.so.cache") -> str | None:
    """The path at which the loader finds a library, without LD_LIBRARY_PATH; None if it does
    not."""
    paths = []
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
