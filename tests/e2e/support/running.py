"""Running programs: environment, users, time-outs."""

import functools
import os
import resource
import signal
import stat
import subprocess

from support import paths

NOBODY = 65534
# The modes of a start that need no helper: root's, and an ordinary user's.
MODES = ("namespace", "userns") if os.geteuid() == 0 else ("userns",)

_KEPT = (
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    "LSAN_OPTIONS",
    "TSAN_OPTIONS",
    "HOME",
    "HAFT_INDEX",
)  # HAFT_INDEX=0 run.py: everything without the import index


def clean_env(**extra):
    """A small environment without PYTHON*, HAFT_* or anything else of the caller's that could
    matter."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env.update(
        PATH="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        LANG="C.UTF-8",
        TERM="xterm",
    )
    env.update(extra)
    return env


def open_fuse_node():
    """A device node like /dev/fuse that everybody may open, in the scratch directory."""
    node = str(paths.scratch() / "fuse")
    try:
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(10, 229))
    except FileExistsError:
        pass
    os.chmod(node, 0o666)
    return node


@functools.cache
def _user_prefix():
    if os.geteuid() != 0:
        return []
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    if os.stat("/dev/fuse").st_mode & 0o666 == 0o666:
        return drop
    # Bound over /dev/fuse for this command only, in a mount namespace of its own. Every step is an
    # exec, so the command has the pid of the process started.
    bind = 'mount --bind "$0" /dev/fuse && exec "$@"'
    return ["unshare", "-m", "sh", "-c", bind, open_fuse_node(), *drop]


def as_user(command):
    """The command that runs `command` as uid 65534, in the same pid, with a /dev/fuse it may
    open."""
    return [*_user_prefix(), *map(os.fspath, command)]


def in_mode(command, mode):
    """`command`, as the user who gets that mode. mode None: as it is."""
    if mode in (None, "namespace"):
        return [os.fspath(part) for part in command]
    assert mode == "userns", mode
    return as_user(command)


def start(command, *, mode=None, env=None, **popen):
    """subprocess.Popen with a clean environment. The caller ends it."""
    return subprocess.Popen(
        in_mode(command, mode), env=clean_env() if env is None else env, **popen
    )


def run(
    command,
    *,
    mode=None,
    env=None,
    timeout=60,
    input=None,
    text=True,
    check=False,
    cwd=None,
    stdin=None,
    **popen,
):
    """Runs to the end in a session of its own; the whole session is killed at the time-out.

    Returns a CompletedProcess with stdout and stderr. Standard input is empty unless given. With
    check, a status other than 0 is an AssertionError that shows the output.
    """
    streams = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "start_new_session": True,
        **popen,
    }
    stdin = subprocess.PIPE if input is not None else stdin or subprocess.DEVNULL
    errors = "surrogateescape" if text else None
    with start(
        command, mode=mode, env=env, cwd=cwd, stdin=stdin, text=text, errors=errors, **streams
    ) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException as failure:
            kill_session(process.pid)
            process.kill()
            out, err = process.communicate()
            if isinstance(failure, subprocess.TimeoutExpired):
                raise AssertionError(
                    f"no end within {timeout} s: {command}\nstdout: {out[-2000:]!r}\n"
                    f"stderr: {err[-2000:]!r}"
                ) from None
            raise
    if check and process.returncode:
        raise AssertionError(
            f"status {process.returncode}: {command}\nstdout: {out}\nstderr: {err}"
        )
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def kill_session(leader):
    """SIGKILL to every process of the session (servers live in sessions of their own)."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == leader:
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                pass


def no_core():
    """For preexec_fn: a program that dies by a signal leaves no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
