"""What the file-system tests share: odd trees, mounting, comparing, counters."""

import os
import pathlib
import random
import subprocess

import support
from support import fs_errno, fs_image, fs_manifest

HERE = pathlib.Path(__file__).resolve().parent
# A haft built with sanitizers needs more time and memory.
SANITIZED = (
    b"__asan_init" in pathlib.Path(support.HAFT).read_bytes()
    if os.path.exists(support.HAFT)
    else False
)
SLOWNESS = 10 if SANITIZED else 1
# Sizes around the edges of pages, blocks and READ requests.
EDGE_SIZES = (
    0,
    1,
    2,
    4095,
    4096,
    4097,
    65535,
    65536,
    65537,
    131071,
    131072,
    131073,
    262143,
    262144,
    262145,
    393216,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
)
PROGRAM = "import sys\nsys.exit(0)\n"
MODULE = "fs_program"


def odd_bytes(size, seed):
    """`size` bytes, half of them compressible."""
    chance = random.Random(seed)
    out = bytearray()
    while len(out) < size:
        out += chance.randbytes(2048)
        out += b"line %d of file %d\n" % (len(out), seed) * 60
    return bytes(out[:size])


def memory_dir(test, name):
    """A new directory for very many files: a tmpfs of its own (as root), gone with the test or test
    class `test`."""
    path = support.unique_dir(name)
    if os.geteuid() == 0:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2g,nr_inodes=400k,mode=755", "none", path],
            check=True,
        )
        cleanup = getattr(test, "addClassCleanup" if isinstance(test, type) else "addCleanup")
        cleanup(subprocess.run, ["umount", "-l", path], check=True)
    return path


def put(path, content=b"", mode=0o644, mtime_ns=None):
    """Writes a file given by a bytes path."""
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))


def program(directory):
    """A module for `-m` in a tree that is otherwise only data; returns the arguments for build."""
    put(os.path.join(os.fsencode(directory), MODULE.encode() + b".py"), PROGRAM.encode())
    return ["-m", MODULE]


def write_errno_tree(directory):
    """The entries fs_errno.py calls things on."""
    root = os.fsencode(directory)
    put(root + b"/plain", odd_bytes(fs_errno.PLAIN_SIZE, 1))
    put(root + b"/empty")
    put(root + b"/script", b"#!/bin/sh\necho run\n", 0o755)
    put(root + b"/suid", b"#!/bin/sh\nid -u\n", 0o4755)
    put(root + b"/sgid", b"#!/bin/sh\nid -u\n", 0o2755)
    os.makedirs(root + b"/sub/child")
    put(root + b"/sub/file", b"x")
    os.mkdir(root + b"/empty-directory")
    os.symlink(b"plain", root + b"/link")
    os.symlink(b"nowhere", root + b"/dangling")
    os.symlink(b"loop", root + b"/loop")


def write_odd_tree(directory):
    """Odd names, types, modes, times, sizes and links; returns the build arguments for its
    program."""
    root = os.fsencode(directory)
    arguments = program(directory)
    names = root + b"/names"
    os.mkdir(names)
    for name in odd_names():
        put(names + b"/" + name, b"name of %d bytes: " % len(name) + name)
    os.mkdir(root + b"/directories")
    for name in odd_names():
        os.mkdir(root + b"/directories/" + name)
    os.mkdir(root + b"/modes")
    for mode in (
        0o000,
        0o111,
        0o400,
        0o444,
        0o600,
        0o640,
        0o644,
        0o666,
        0o700,
        0o711,
        0o755,
        0o777,
        0o1644,
        0o1777,
    ):
        put(root + b"/modes/file-%04o" % mode, b"mode %04o" % mode, mode)
        os.mkdir(root + b"/modes/directory-%04o" % mode)
        put(root + b"/modes/directory-%04o/inside" % mode, b"x")
        os.chmod(root + b"/modes/directory-%04o" % mode, mode)
    os.mkdir(root + b"/sizes")
    for number, size in enumerate(EDGE_SIZES):
        put(root + b"/sizes/%d" % size, odd_bytes(size, number))
        put(root + b"/sizes/zeros-%d" % size, bytes(size))
    write_links(root + b"/links")
    os.mkdir(root + b"/times")
    for moment in (
        0,
        1,
        999_999_999,
        1_000_000_000,
        1_600_000_000_123_456_789,
        -1,
        -1_500_000_000,
        (1 << 31) * 10**9,
        (1 << 32) * 10**9 + 5,
        (1 << 33) * 10**9 + 999_999_999,
    ):
        put(root + b"/times/%d" % moment, b"t", mtime_ns=moment)
    os.mkdir(root + b"/same")
    for number in range(20):
        put(root + b"/same/large-%d" % number, odd_bytes(300_000, 77))
        put(root + b"/same/small-%d" % number, b"the same small content\n" * 9)
    os.link(root + b"/same/small-0", root + b"/same/hard-link")
    os.makedirs(root + b"/empty/directories/inside")
    write_deep(root + b"/deep")
    # Times of the directories last: making entries changes them.
    for number, (path, _, _) in enumerate(os.walk(root)):
        mtime_ns = 1_234_567_890_000_000_000 + number * 1_000_000_007
        os.utime(path, ns=(mtime_ns, mtime_ns))
    return arguments


def odd_names():
    """File names as Linux allows them."""
    every = bytes(set(range(1, 256)) - {ord("/")})
    return [
        b"n" * 255,
        b"\xff" * 255,
        "ü".encode() * 127 + b"x",
        every[:128],
        every[128:],
        b"\xff\xfe not utf-8 \xc3",
        b" ",
        b" leading",
        b"trailing ",
        b"-n",
        b"--help",
        b"new\nline",
        b"tab\t",
        b"back\\slash",
        b"\x1b[31mred",
        b"...",
        b"..x",
        b".hidden",
        b"~",
        b"*",
        b"?",
        b"$(id)",
        b"`id`",
        b"'",
        b'"',
        b"a;b",
        b"a|b",
        b"a&b",
        b"%s%n",
        b"\x01",
        b"\x7f",
        b"CON",
        b"con",
        b"Con",
        b"\xc3\xa9",
        b"e\xcc\x81",
        b"\xe2\x80\xae",
        b"\xef\xbb\xbfbom",
        "日本語".encode(),
        "🐍".encode(),
        b"0",
        b"0" * 254,
        b"a,b=c",
        b"#",
        b"!",
    ]


def write_links(links):
    os.mkdir(links)
    put(links + b"/target", b"behind the link")
    for name, target in (
        (b"inside", b"target"),
        (b"parent", b"../names"),
        (b"self-directory", b"."),
        (b"root", b"/"),
        (b"dangling", b"nowhere/at/all"),
        (b"loop", b"loop"),
        (b"loop-a", b"loop-b"),
        (b"loop-b", b"loop-a"),
        (b"absolute", b"/usr/bin/python3"),
        (b"odd", b"\xff\n \xfe"),
        (b"slashes", b".//././/target"),
        (b"outside", b"../../../../../../../../../../etc/passwd"),
        (b"one", b"x"),
        (b"long", b"l" * 4095),
        (b"long-path", b"d/" * 2047 + b"e"),
    ):
        os.symlink(target, links + b"/" + name)
    os.utime(links + b"/long", ns=(5, 987_654_321), follow_symlinks=False)


def write_deep(deep):
    """Narrow and deep: 250 levels, and a path of about 3.5 kB."""
    os.makedirs(deep + b"/l" * 250)
    put(deep + b"/l" * 250 + b"/end", b"deep")
    wide = deep + (b"/" + b"w" * 255) * 13
    os.makedirs(wide)
    put(wide + b"/end", b"long")


def differences(source, shown, extra=lambda path, entry: False, limit=12):
    """Lines that say how the manifest `shown` ({path: key}) is not like `source`; empty if it
    is."""
    lines = []
    for path, wanted in source.items():
        if path not in shown:
            lines.append(f"missing: {path!r}")
        elif shown[path] != wanted:
            lines.append(f"differs: {path[:100]!r}: source {wanted}, shown {shown[path]}")
    lines += [
        f"not in the source: {path!r}"
        for path, entry in shown.items()
        if path not in source and not extra(path, entry)
    ]
    if len(lines) > limit:
        lines = [*lines[:limit], f"… {len(lines)} in all"]
    return lines


def keys(manifest):
    return {path: entry.key() for path, entry in manifest.items()}


def compiled_extra(path, entry):
    """What a build with byte compilation may add: __pycache__ directories with .pyc files of Python
    3.11."""
    parts = path.split(b"/")
    if parts[-1] == b"__pycache__":
        return entry[0] == "directory"
    return (
        len(parts) > 1
        and parts[-2] == b"__pycache__"
        and path.endswith(b".cpython-311.pyc")
        and entry[0] == "file"
    )


def assert_links_and_inodes(test, manifest):
    """Directories count their children, every entry has an inode number of its own, st_blocks makes
    sense."""
    children = {path: 0 for path, entry in manifest.items() if entry.kind == "directory"}
    for path, entry in manifest.items():
        if path and entry.kind == "directory":
            children[path.rpartition(b"/")[0]] += 1
    wrong = [
        (path[:80], manifest[path].links, 2 + count)
        for path, count in children.items()
        if manifest[path].links != 2 + count
    ]
    test.assertEqual(wrong[:5], [], "directories' st_nlink (path, shown, wanted)")
    wrong = [
        (path[:80], e.links, 1)
        for path, e in manifest.items()
        if e.kind != "directory" and e.links != 1
    ]
    test.assertEqual(wrong[:5], [], "st_nlink of files and links")
    test.assertEqual(
        len({e.inode for e in manifest.values()}), len(manifest), "inode numbers are not unique"
    )
    wrong = [
        (path[:80], e.size, e.blocks)
        for path, e in manifest.items()
        if e.kind == "file" and not 0 <= e.blocks * 512 <= e.size + 4096
    ]
    test.assertEqual(wrong[:5], [], "st_blocks (path, size, blocks)")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processor_time(call):
    """(result, seconds of processor time of the programs that it ran): whatever else runs here."""
    before = os.times()
    result = call()
    after = os.times()
    used = after.children_user + after.children_system
    return result, used - before.children_user - before.children_system


def manifest_of(path, **options):
    return fs_manifest.manifest(os.fsencode(path), **options)


def image_of(path):
    return fs_image.Image(path)
