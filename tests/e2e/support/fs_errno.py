"""Calls a read-only mount must answer in one way only: python3 fs_errno.py DIRECTORY [SCRATCH].

DIRECTORY is a mounted tree as make_errno_tree() of fs_support makes it, SCRATCH a writable
directory of another file system. Prints a JSON object: {"checks": N, "differences": [[call,
expected, got], …]}. Runs in bundles too (`-m fs_errno`): standard library only, Python 3.8.
"""

import ctypes
import errno
import fcntl
import json
import os
import socket
import stat
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
O_TMPFILE = 0o20200000
PLAIN_SIZE = 12345  # of the file `plain`
FS_IOC_GETFLAGS = 0x80086601
TCGETS = 0x5401


def name_of(code):
    if code == errno.EOPNOTSUPP:  # the same number as ENOTSUP, which errorcode prefers
        return "EOPNOTSUPP"
    return errno.errorcode.get(code, str(code)) if code else "0"


def result_of(call):
    """What `call` answers: "0" or a value as text, else the name of the errno."""
    try:
        value = call()
    except OSError as error:
        return name_of(error.errno)
    return "0" if value is None else str(value)


def raw(function, *arguments):
    """A libc function that answers −1 and errno, as an OSError."""
    ctypes.set_errno(0)
    value = getattr(LIBC, function)(*arguments)
    if value == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Checks:
    def __init__(self):
        self.count = 0
        self.differences = []

    def expect(self, what, expected, call):
        self.count += 1
        got = result_of(call)
        if got not in expected.split("|"):
            self.differences.append([what, expected, got])


def open_close(path, flags, mode=0o644):
    os.close(os.open(path, flags, mode))


def with_fd(path, flags, call):
    descriptor = os.open(path, flags)
    try:
        return call(descriptor)
    finally:
        os.close(descriptor)


def check_opens(checks, at):
    plain = at("plain")
    checks.expect("open O_RDONLY", "0", lambda: open_close(plain, os.O_RDONLY))
    checks.expect(
        "open O_CREAT|O_RDONLY existing", "0", lambda: open_close(plain, os.O_CREAT | os.O_RDONLY)
    )
    checks.expect("open O_DIRECT", "0", lambda: open_close(plain, os.O_RDONLY | os.O_DIRECT))
    checks.expect("open O_WRONLY", "EROFS", lambda: open_close(plain, os.O_WRONLY))
    checks.expect("open O_RDWR", "EROFS", lambda: open_close(plain, os.O_RDWR))
    checks.expect(
        "open O_WRONLY|O_APPEND", "EROFS", lambda: open_close(plain, os.O_WRONLY | os.O_APPEND)
    )
    checks.expect(
        "open O_RDONLY|O_TRUNC", "EROFS", lambda: open_close(plain, os.O_RDONLY | os.O_TRUNC)
    )
    checks.expect(
        "open O_CREAT new", "EROFS", lambda: open_close(at("new"), os.O_CREAT | os.O_WRONLY)
    )
    checks.expect(
        "open O_CREAT|O_RDONLY new",
        "EROFS",
        lambda: open_close(at("new2"), os.O_CREAT | os.O_RDONLY),
    )
    checks.expect(
        "open O_CREAT|O_EXCL existing",
        "EEXIST",
        lambda: open_close(plain, os.O_CREAT | os.O_EXCL | os.O_WRONLY),
    )
    checks.expect("open O_TMPFILE", "EROFS", lambda: open_close(at("sub"), O_TMPFILE | os.O_RDWR))
    checks.expect("open directory O_WRONLY", "EISDIR", lambda: open_close(at("sub"), os.O_WRONLY))
    checks.expect("open directory O_RDONLY", "0", lambda: open_close(at("sub"), os.O_RDONLY))
    checks.expect(
        "open file O_DIRECTORY", "ENOTDIR", lambda: open_close(plain, os.O_RDONLY | os.O_DIRECTORY)
    )
    checks.expect(
        "open symlink O_NOFOLLOW",
        "ELOOP",
        lambda: open_close(at("link"), os.O_RDONLY | os.O_NOFOLLOW),
    )
    checks.expect("open symlink", "0", lambda: open_close(at("link"), os.O_RDONLY))
    checks.expect(
        "open dangling symlink", "ENOENT", lambda: open_close(at("dangling"), os.O_RDONLY)
    )
    checks.expect("open symlink loop", "ELOOP", lambda: open_close(at("loop"), os.O_RDONLY))
    checks.expect("open missing", "ENOENT", lambda: open_close(at("missing"), os.O_RDONLY))
    checks.expect("open O_PATH", "0", lambda: open_close(plain, os.O_PATH))
    checks.expect(
        "path through a file", "ENOTDIR", lambda: open_close(at("plain/below"), os.O_RDONLY)
    )
    checks.expect("stat through a file", "ENOTDIR", lambda: os.stat(at("plain/below")) and None)
    checks.expect("file with a slash behind", "ENOTDIR", lambda: os.stat(at("plain/")) and None)
    checks.expect("name of 255 bytes", "ENOENT", lambda: os.stat(at("n" * 255)) and None)
    checks.expect("name of 256 bytes", "ENAMETOOLONG", lambda: os.stat(at("n" * 256)) and None)
    checks.expect("mkdir name of 256 bytes", "ENAMETOOLONG", lambda: os.mkdir(at("n" * 256)))
    checks.expect(
        "open name of 1025 bytes", "ENAMETOOLONG", lambda: open_close(at("n" * 1025), os.O_RDONLY)
    )


def check_changes(checks, at, scratch):
    for name in ("mkdir", "symlink", "mkfifo", "mknod", "link"):
        makers = {
            "mkdir": os.mkdir,
            "symlink": lambda path: os.symlink("target", path),
            "mkfifo": os.mkfifo,
            "mknod": lambda path: os.mknod(path, stat.S_IFREG | 0o644),
            "link": lambda path: os.link(at("plain"), path),
        }
        checks.expect(name, "EROFS", lambda: makers[name](at("new-" + name)))
        checks.expect(name + " existing", "EEXIST", lambda: makers[name](at("sub/child")))
    if os.geteuid() == 0:
        checks.expect(
            "mknod device",
            "EROFS|EPERM",
            lambda: os.mknod(at("new-device"), stat.S_IFCHR | 0o644, os.makedev(1, 3)),
        )

    def bind():
        with socket.socket(socket.AF_UNIX) as server:
            here = os.open(".", os.O_RDONLY)
            try:
                os.chdir(at("sub"))  # keeps the address within its 108 bytes
                server.bind("socket")
            finally:
                os.fchdir(here)
                os.close(here)

    checks.expect("bind", "EROFS", bind)
    checks.expect("rmdir", "EROFS", lambda: os.rmdir(at("empty-directory")))
    checks.expect("rmdir not empty", "EROFS", lambda: os.rmdir(at("sub")))
    checks.expect("rmdir missing", "EROFS", lambda: os.rmdir(at("missing")))
    checks.expect("unlink", "EROFS", lambda: os.unlink(at("plain")))
    checks.expect("unlink missing", "EROFS", lambda: os.unlink(at("missing")))
    checks.expect("rename", "EROFS", lambda: os.rename(at("plain"), at("renamed")))
    checks.expect("rename onto existing", "EROFS", lambda: os.rename(at("plain"), at("sub/child")))
    checks.expect("rename missing", "EROFS", lambda: os.rename(at("missing"), at("renamed")))
    checks.expect(
        "rename out", "EXDEV", lambda: os.rename(at("plain"), os.path.join(scratch, "renamed"))
    )
    checks.expect(
        "link to another file system",
        "EXDEV",
        lambda: os.link(at("plain"), os.path.join(scratch, "linked")),
    )
    checks.expect("chmod", "EROFS", lambda: os.chmod(at("plain"), 0o600))
    checks.expect("chmod directory", "EROFS", lambda: os.chmod(at("sub"), 0o700))
    checks.expect(
        "fchmod",
        "EROFS",
        lambda: with_fd(at("plain"), os.O_RDONLY, lambda fd: os.fchmod(fd, 0o600)),
    )
    checks.expect("chown", "EROFS", lambda: os.chown(at("plain"), os.getuid(), os.getgid()))
    checks.expect(
        "fchown",
        "EROFS",
        lambda: with_fd(
            at("plain"), os.O_RDONLY, lambda fd: os.fchown(fd, os.getuid(), os.getgid())
        ),
    )
    checks.expect("lchown", "EROFS", lambda: os.lchown(at("link"), os.getuid(), os.getgid()))
    # glibc 2.36 refuses before asking the kernel; newer ones use fchmodat2.
    checks.expect(
        "lchmod",
        "EOPNOTSUPP|EROFS",
        lambda: raw("fchmodat", AT_FDCWD, os.fsencode(at("link")), 0o600, 0x100),
    )
    checks.expect("truncate", "EROFS", lambda: os.truncate(at("plain"), 10))
    checks.expect("utime", "EROFS", lambda: os.utime(at("plain"), (1, 1)))
    checks.expect("utime now", "EROFS", lambda: os.utime(at("plain")))
    checks.expect("lutime", "EROFS", lambda: os.utime(at("link"), (1, 1), follow_symlinks=False))
    checks.expect("setxattr", "EROFS", lambda: os.setxattr(at("plain"), "user.x", b"1"))
    checks.expect("lsetxattr directory", "EROFS", lambda: os.setxattr(at("sub"), "user.x", b"1"))
    checks.expect("removexattr", "EROFS", lambda: os.removexattr(at("plain"), "user.x"))
    checks.expect(
        "write on a read-only descriptor",
        "EBADF",
        lambda: with_fd(at("plain"), os.O_RDONLY, lambda fd: os.write(fd, b"x")) and None,
    )
    checks.expect(
        "ftruncate on a read-only descriptor",
        "EINVAL",
        lambda: with_fd(at("plain"), os.O_RDONLY, lambda fd: os.ftruncate(fd, 0)),
    )
    checks.expect(
        "fallocate on a read-only descriptor",
        "EBADF",
        lambda: with_fd(at("plain"), os.O_RDONLY, lambda fd: os.posix_fallocate(fd, 0, 10)),
    )
    checks.expect("access W_OK", "EROFS", lambda: raw("access", os.fsencode(at("plain")), os.W_OK))
    checks.expect(
        "access W_OK directory", "EROFS", lambda: raw("access", os.fsencode(at("sub")), os.W_OK)
    )


def check_reads(checks, at):
    plain = at("plain")
    expect_fd = lambda what, expected, call: checks.expect(  # noqa: E731
        what, expected, lambda: with_fd(plain, os.O_RDONLY, call)
    )
    expect_fd("pread at the end", "0", lambda fd: len(os.pread(fd, 100, PLAIN_SIZE)))
    expect_fd("pread past the end", "0", lambda fd: len(os.pread(fd, 100, PLAIN_SIZE + 1)))
    expect_fd("pread across the end", "5", lambda fd: len(os.pread(fd, 100, PLAIN_SIZE - 5)))
    expect_fd("pread at 2^62", "0", lambda fd: len(os.pread(fd, 100, 1 << 62)))
    expect_fd("pread at 2^63-1", "0|EINVAL", lambda fd: len(os.pread(fd, 100, (1 << 63) - 1)))
    expect_fd("pread negative", "EINVAL", lambda fd: len(os.pread(fd, 100, -1)))
    expect_fd("pread of 0 bytes", "0", lambda fd: len(os.pread(fd, 0, 0)))
    checks.expect(
        "O_DIRECT pread past the end",
        "0",
        lambda: with_fd(
            plain, os.O_RDONLY | os.O_DIRECT, lambda fd: len(os.pread(fd, 100, 1 << 40))
        ),
    )
    checks.expect(
        "read of a directory",
        "EISDIR",
        lambda: with_fd(at("sub"), os.O_RDONLY, lambda fd: len(os.read(fd, 100))),
    )
    checks.expect(
        "read of an empty file",
        "0",
        lambda: with_fd(at("empty"), os.O_RDONLY, lambda fd: len(os.read(fd, 100))),
    )
    expect_fd("SEEK_DATA 0", "0", lambda fd: os.lseek(fd, 0, os.SEEK_DATA))
    expect_fd("SEEK_HOLE 0", str(PLAIN_SIZE), lambda fd: os.lseek(fd, 0, os.SEEK_HOLE))
    expect_fd("SEEK_DATA at the end", "ENXIO", lambda fd: os.lseek(fd, PLAIN_SIZE, os.SEEK_DATA))
    expect_fd("SEEK_HOLE at the end", "ENXIO", lambda fd: os.lseek(fd, PLAIN_SIZE, os.SEEK_HOLE))
    expect_fd("SEEK_END", str(PLAIN_SIZE), lambda fd: os.lseek(fd, 0, os.SEEK_END))
    expect_fd("SEEK_SET negative", "EINVAL", lambda fd: os.lseek(fd, -1, os.SEEK_SET))
    expect_fd("fsync", "0", os.fsync)
    expect_fd("fdatasync", "0", os.fdatasync)
    checks.expect("fsync directory", "0", lambda: with_fd(at("sub"), os.O_RDONLY, os.fsync))
    expect_fd("flock exclusive", "0", lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
    expect_fd("lockf shared", "0", lambda fd: fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB))
    expect_fd("lockf exclusive", "EBADF", lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
    expect_fd("ioctl TCGETS", "ENOTTY", lambda fd: fcntl.ioctl(fd, TCGETS, bytes(64)) and None)
    expect_fd(
        "ioctl FS_IOC_GETFLAGS",
        "ENOTTY|EOPNOTSUPP|EINVAL",
        lambda fd: fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("l", 0)) and None,
    )
    expect_fd("isatty", "False", os.isatty)
    # The mount has no extended attributes and says so once (ENOSYS, which callers see as
    # EOPNOTSUPP), so that the kernel does not ask again for each file.
    checks.expect("getxattr", "EOPNOTSUPP|ENODATA", lambda: len(os.getxattr(plain, "user.x")))
    checks.expect(
        "getxattr security.capability",
        "EOPNOTSUPP|ENODATA",
        lambda: len(os.getxattr(plain, "security.capability")),
    )
    checks.expect("listxattr", "EOPNOTSUPP|0", lambda: len(os.listxattr(plain)))
    checks.expect(
        "llistxattr of a link",
        "EOPNOTSUPP|0",
        lambda: len(os.listxattr(at("link"), follow_symlinks=False)),
    )
    checks.expect("readlink of a file", "EINVAL", lambda: os.readlink(plain))
    checks.expect("readlink", "plain", lambda: os.readlink(at("link")))
    checks.expect("rewinddir", "True", lambda: os.listdir(at("sub")) == os.listdir(at("sub")))
    checks.expect("access R_OK", "0", lambda: raw("access", os.fsencode(plain), os.R_OK))
    checks.expect(
        "access F_OK missing", "ENOENT", lambda: raw("access", os.fsencode(at("missing")), os.F_OK)
    )
    checks.expect("access X_OK 0644", "EACCES", lambda: raw("access", os.fsencode(plain), os.X_OK))
    checks.expect(
        "access X_OK 0755", "0", lambda: raw("access", os.fsencode(at("script")), os.X_OK)
    )
    checks.expect("execve 0644", "EACCES", lambda: os.execve(plain, ["plain"], {}))
    checks.expect("chdir", "0", lambda: with_fd(at("sub"), os.O_RDONLY, go_and_return))
    checks.expect("chdir file", "ENOTDIR", lambda: os.chdir(plain))
    checks.expect(
        "dropped set-user-id bit", "0o755", lambda: oct(stat.S_IMODE(os.stat(at("suid")).st_mode))
    )
    checks.expect(
        "dropped set-group-id bit", "0o755", lambda: oct(stat.S_IMODE(os.stat(at("sgid")).st_mode))
    )
    checks.expect("owner", str(os.geteuid()), lambda: os.stat(plain).st_uid)
    checks.expect("group", str(os.getegid()), lambda: os.stat(plain).st_gid)


def go_and_return(descriptor):
    here = os.open(".", os.O_RDONLY)
    try:
        os.fchdir(descriptor)
        os.fchdir(here)
    finally:
        os.close(here)


def check_mount(checks, directory):
    status = os.statvfs(directory)
    wanted = os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV
    checks.expect("statvfs flags", str(wanted), lambda: status.f_flag & (wanted | os.ST_NOEXEC))
    checks.expect("statvfs namemax", "255", lambda: status.f_namemax)
    checks.expect(
        "statvfs bfree, bavail, ffree",
        "(0, 0, 0)",
        lambda: (status.f_bfree, status.f_bavail, status.f_ffree),
    )
    checks.expect("statvfs blocks", "True", lambda: status.f_blocks > 0 and status.f_bsize > 0)
    checks.expect("statvfs files", "True", lambda: status.f_files > 5)
    lines = mountinfo_of(directory)
    checks.expect("mounts at the path", "1", lambda: len(lines))
    for line in lines:
        fields, _, rest = line.partition(" - ")
        options = set(fields.split()[5].split(","))
        kind, source, super_options = rest.split()[:3]
        checks.expect(
            "mountinfo ro,nosuid,nodev", "True", lambda: {"ro", "nosuid", "nodev"} <= options
        )
        checks.expect(
            "mountinfo super options ro", "True", lambda: "ro" in super_options.split(",")
        )
        checks.expect("mountinfo type and source", "fuse.haft haft", lambda: kind + " " + source)


def mountinfo_of(directory):
    """The lines of the mounts that hold `directory`: the longest mount point above it, every time
    it occurs."""
    path = os.path.realpath(directory)
    best: tuple[str, list] = ("", [])
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            point = line.split()[4].encode("latin-1", "surrogateescape").decode("unicode_escape")
            if path == point or path.startswith(point.rstrip("/") + "/"):
                if len(point) > len(best[0]):
                    best = (point, [line])
                elif point == best[0]:
                    best[1].append(line)
    return best[1]


def run_checks(directory, scratch):
    checks = Checks()
    at = lambda name: os.path.join(directory, name)  # noqa: E731
    before = sorted(os.listdir(directory))
    check_opens(checks, at)
    check_changes(checks, at, scratch)
    check_reads(checks, at)
    check_mount(checks, directory)
    checks.expect("nothing changed", "True", lambda: sorted(os.listdir(directory)) == before)
    return {"checks": checks.count, "differences": checks.differences, "uid": os.geteuid()}


def main(arguments):
    directory = arguments[0] if arguments else os.path.dirname(os.path.abspath(__file__))
    scratch = arguments[1] if len(arguments) > 1 else "/tmp"
    print(json.dumps(run_checks(directory, scratch)))


if __name__ == "__main__":
    main(sys.argv[1:])
