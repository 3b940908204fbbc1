"""Running programs: environment, users, time-outs."""

import functools
import os
import resource
import signal
import stat
import subprocess

from support import clean, paths
from support.people import NUMBER, PERSON, ROOT, User

# The modes of a start that need no helper: root's, and an ordinary user's. "number" is the mode
# userns as well, for a user without account and groups. "person" is PERSON who does not say how.
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
def _user_prefix(user):
    if os.geteuid() != 0:
        return []
    drop = user.drop()
    if os.stat("/dev/fuse").st_mode & 0o666 == 0o666:
        return drop
    # Bound over /dev/fuse for this command only, in a mount namespace of its own. Every step is an
    # exec, so the command has the pid of the process started.
    bind = 'mount --bind "$0" /dev/fuse && exec "$@"'
    return ["unshare", "-m", "sh", "-c", bind, open_fuse_node(), *drop]


def as_user(command, user=PERSON):
    """The command that runs `command` as an ordinary user, in the same pid, with a /dev/fuse it may
    open."""
    return [*_user_prefix(user), *map(os.fspath, command)]


def user_in(mode):
    """Who runs the programs in that mode."""
    if os.geteuid() != 0:
        return User("me", os.geteuid(), os.getegid(), tuple(os.getgroups()))
    return {None: ROOT, "namespace": ROOT, "userns": PERSON, "person": PERSON, "number": NUMBER}[
        mode
    ]


def _as_user_in(mode, command):
    user = user_in(mode)
    return as_user(command, user) if user.uid else [os.fspath(part) for part in command]


def in_mode(command, mode):
    """`command`, as the user who gets that mode, and in it. mode None: as it is."""
    if mode in ("userns", "number"):
        command = ["env", "HAFT_MODE=userns", *command]
    return _as_user_in(mode, command)


def env_in(mode, env):
    """`env`, a clean one by default, as the user of that mode has it: with a HOME of his own."""
    env = clean_env() if env is None else env
    if mode in ("userns", "number"):
        env = {"HAFT_MODE": "userns", **env}
    if user_in(mode) is PERSON and env.get("HOME", "") == os.environ.get("HOME"):
        return {**env, **PERSON.environment()}
    return env


def start(command, *, mode=None, env=None, **popen):
    """subprocess.Popen with the environment of env_in(). The caller ends it."""
    return subprocess.Popen(_as_user_in(mode, command), env=env_in(mode, env), **popen)


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


def processes_of(session):
    """The pids of all living processes of a session (servers live in sessions of their own)."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(name)) == session and clean.state(name) not in (None, "Z", "X"):
                found.add(int(name))
        except OSError:
            pass  # gone meanwhile
    return found


def kill_session(leader):
    """SIGKILL to every process of the session."""
    for pid in processes_of(leader):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def no_core():
    """For preexec_fn: a program that dies by a signal leaves no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
