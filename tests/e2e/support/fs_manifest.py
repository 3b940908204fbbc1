"""What a file system shows below a directory, entry by entry.

Used by the tests in their own process, and put into bundles as a program (`-m fs_manifest`):
standard library only, Python 3.8. Names stay bytes; in JSON they are latin-1, so that every byte
survives. Walks by descriptor, so that paths may be longer than PATH_MAX.
"""

import hashlib
import json
import os
import stat
import sys

READ_SIZE = 1 << 18


class Entry:
    """One file, directory or link as lstat, readlink and read show it."""

    __slots__ = (
        "blocks",
        "digest",
        "error",
        "inode",
        "kind",
        "links",
        "mode",
        "mtime_ns",
        "size",
        "target",
    )

    def __init__(self, status):
        self.kind = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}.get(
            stat.S_IFMT(status.st_mode), "other"
        )
        self.mode = stat.S_IMODE(status.st_mode)
        self.mtime_ns = status.st_mtime_ns
        self.size = status.st_size if self.kind != "directory" else 0
        self.links = status.st_nlink
        self.blocks = status.st_blocks
        self.inode = status.st_ino
        self.target = None
        self.digest = None
        self.error = None

    def key(self):
        """What must be equal in the source and in the mount (a link's mode means nothing)."""
        mode = self.mode & 0o1777 if self.kind != "link" else 0
        return (self.kind, mode, self.mtime_ns, self.size, self.target, self.digest, self.error)


def digest_of(descriptor):
    digest = hashlib.sha256()
    while True:
        chunk = os.read(descriptor, READ_SIZE)
        if not chunk:
            return digest.hexdigest()
        digest.update(chunk)


def read_digest(name, directory):
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        return digest_of(descriptor)
    finally:
        os.close(descriptor)


def manifest(root, contents=True, on_error=None):
    """{path as bytes: Entry} of everything below `root`, which itself is b"".

    With `on_error`, a failed call is recorded in Entry.error ("EIO" …) and, for entries that cannot
    even be stat'ed, passed to on_error(path, errno) instead of raised.
    """
    found = {}
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found[b""] = Entry(os.fstat(top))
        _walk(top, b"", found, contents, on_error)
    finally:
        os.close(top)
    return found


def _walk(directory, prefix, found, contents, on_error):
    try:
        names = [os.fsencode(name) for name in os.listdir(directory)]
    except OSError as error:
        if on_error is None:
            raise
        found[prefix.rstrip(b"/")].error = error.errno
        on_error(prefix, error.errno)
        return
    for name in names:
        path = prefix + name
        try:
            entry = Entry(os.stat(name, dir_fd=directory, follow_symlinks=False))
        except OSError as error:
            if on_error is None:
                raise
            on_error(path, error.errno)
            continue
        if path in found:
            raise AssertionError(f"listed twice: {path!r}")
        found[path] = entry
        try:
            if entry.kind == "link":
                entry.target = os.readlink(name, dir_fd=directory)
            elif entry.kind == "file" and contents:
                entry.digest = read_digest(name, directory)
        except OSError as error:
            if on_error is None:
                raise
            entry.error = error.errno
            on_error(path, error.errno)
        if entry.kind == "directory":
            try:
                child = os.open(
                    name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory
                )
            except OSError as error:
                if on_error is None:
                    raise
                entry.error = error.errno
                on_error(path, error.errno)
                continue
            try:
                _walk(child, path + b"/", found, contents, on_error)
            finally:
                os.close(child)


def dump(entries, out):
    for path, entry in entries.items():
        target = entry.target.decode("latin-1") if entry.target is not None else None
        out.write(
            json.dumps(
                [
                    path.decode("latin-1"),
                    entry.kind,
                    entry.mode,
                    entry.mtime_ns,
                    entry.size,
                    target,
                    entry.digest,
                ]
            )
            + "\n"
        )


def load(text):
    """{path: key} of what dump() wrote; compare with Entry.key()."""
    found = {}
    for line in text.splitlines():
        path, kind, mode, mtime_ns, size, target, digest = json.loads(line)
        found[path.encode("latin-1")] = (
            kind,
            mode & 0o1777 if kind != "link" else 0,
            mtime_ns,
            size,
            target.encode("latin-1") if target is not None else None,
            digest,
            None,
        )
    return found


def main(arguments):
    root = (
        os.fsencode(arguments[0])
        if arguments
        else os.path.dirname(os.path.abspath(os.fsencode(__file__)))
    )
    sys.setrecursionlimit(20000)
    dump(manifest(root), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
