"""Stops a command at an exact moment: when one of its processes comes back from a certain system
call.

    start = StoppedStart([lab(), CODE], Hook("mount", text="fuse"))
    pid = start.wait()          # stopped there (SIGSTOP); all others run on, untraced
    os.kill(pid, signal.SIGCONT)
    status, out, errors = start.end()
    start.close()

A tracer (ptrace) of its own follows every process the command forks until the moment has come. So
what is tested is the program that users get. Needs root, Linux 5.3.
"""

import ctypes
import errno
import os
import platform
import re
import select
import signal
import struct
import time
import traceback

from support import clean

_MACHINE = platform.machine()
NUMBERS = {
    "x86_64": {
        "read": 0,
        "write": 1,
        "execve": 59,
        "mount": 165,
        "umount2": 166,
        "openat": 257,
        "mkdirat": 258,
    },
    "aarch64": {
        "read": 63,
        "write": 64,
        "execve": 221,
        "mount": 40,
        "umount2": 39,
        "openat": 56,
        "mkdirat": 34,
    },
}[_MACHINE]
_TEXT = {
    "execve": 0,
    "mount": 2,
    "openat": 1,
    "mkdirat": 1,
    "write": 1,
}  # the argument that is a path, a type, …

_CONT, _DETACH, _SYSCALL, _SEIZE, _LISTEN, _SYSCALL_INFO = 7, 17, 24, 0x4206, 0x4208, 0x420E
_OPTIONS = 0x100000 | 1 | 2 | 4 | 8 | 16  # EXITKILL, SYSGOOD, FORK, VFORK, CLONE, EXEC
_FORK_EVENTS, _STOP_EVENT = (1, 2, 3), 128
_WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


class Hook:
    """The moment after a system call: the first one for which everything given is true.

    call   its name, or "fork" for any call that makes a process
    text   a regular expression its argument matches (file, type of mount, bytes written)
    fails  with this errno; else it must succeed
    name   of the process (as in /proc/PID/comm); "program": the one that was started
    holds  path of a file that the process has open
    stop   false: nobody is stopped
    """

    def __init__(self, call, *, text=None, fails=0, name=None, holds=None, stop=True):
        self.call, self.text, self.fails, self.name, self.holds, self.stop = (
            call,
            text,
            fails,
            name,
            holds,
            stop,
        )

    def is_at(self, pid, program):
        if (self.name == "program" and pid != program) or self.name not in (
            None,
            "program",
            clean.process_name(pid),
        ):
            return False
        return self.holds is None or self.holds in _files(pid)


def _files(pid):
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            yield os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            pass


def _ptrace(request, pid, data=0):
    """False if the process has been killed meanwhile."""
    if _libc.ptrace(request, pid, None, data) == 0:
        return True
    if ctypes.get_errno() != errno.ESRCH:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return False


class _Tracer:
    """The life of the tracing process, the parent of the program."""

    def __init__(self, program, hook, report):
        self.program, self.hook, self.report = program, hook, report
        self.reached = False
        self.entered = {}  # pid: what the hook's call, in which it is now, was given
        self.info = ctypes.create_string_buffer(96)

    def run(self):
        os.waitpid(self.program, os.WUNTRACED)
        _ptrace(_SEIZE, self.program, _OPTIONS)
        os.kill(self.program, signal.SIGCONT)
        while True:
            try:
                pid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return
            if os.WIFSTOPPED(status):
                self.stopped(pid, os.WSTOPSIG(status), status >> 16)
            elif pid == self.program:
                self.report(f"ended {os.waitstatus_to_exitcode(status)}")

    def stopped(self, pid, number, event):
        if event == _STOP_EVENT and number != signal.SIGTRAP:
            _ptrace(_DETACH if self.reached else _LISTEN, pid)  # stopped like anybody else
            return
        if not self.reached:
            self.reached = (
                event in _FORK_EVENTS
                and self.hook.call == "fork"
                and self.hook.is_at(pid, self.program)
            ) or (number == signal.SIGTRAP | 0x80 and self.syscall(pid))
            if self.reached:
                if self.hook.stop:
                    os.kill(pid, signal.SIGSTOP)
                _ptrace(_DETACH, pid)
                self.report(f"reached {pid}")
                return
        delivered = 0 if event or number == signal.SIGTRAP | 0x80 else number
        _ptrace(_DETACH if self.reached else _SYSCALL, pid, delivered)

    def syscall(self, pid):
        """Called at both ends of every system call; true at the end of the hook's."""
        if (
            self.hook.call == "fork"
            or _libc.ptrace(_SYSCALL_INFO, pid, len(self.info), ctypes.addressof(self.info)) < 0
        ):
            return False
        if self.info[0] == b"\1":
            number, *arguments = struct.unpack_from("=7Q", self.info, 24)
            if number == NUMBERS[self.hook.call]:
                self.entered[pid] = self.text(pid, arguments)
        elif self.info[0] == b"\2" and (text := self.entered.pop(pid, None)) is not None:
            (value,) = struct.unpack_from("=q", self.info, 24)
            right = value == -self.hook.fails if self.hook.fails else value >= 0
            return (
                right
                and (self.hook.text is None or re.search(self.hook.text, text))
                and self.hook.is_at(pid, self.program)
            )
        return False

    def text(self, pid, arguments):
        if self.hook.text is None:
            return ""
        try:
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                memory.seek(arguments[_TEXT[self.hook.call]])
                return memory.read(256).partition(b"\0")[0].decode("latin-1")
        except OSError:  # no such address
            return ""


class StoppedStart:
    """A command that is going to be stopped at a hook. Standard input is open until end() or
    close()."""

    def __init__(self, command, hook, *, user=None, env):
        self.hook = hook
        self._command, self._user, self._env = [os.fspath(word) for word in command], user, env
        self._out, self._errors = os.memfd_create("stdout"), os.memfd_create("stderr")
        stdin, self._stdin = os.pipe()
        self._reports, report = os.pipe()
        self._tracer = os.fork()
        if self._tracer == 0:
            try:
                self._trace(stdin, report)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(stdin)
        os.close(report)
        self._reported, self._rest = {}, ""
        self.pid = self._report("started", 10)

    def _trace(self, stdin, report):
        program = os.fork()
        if program == 0:
            for target, source in enumerate((stdin, self._out, self._errors)):
                os.dup2(source, target)
            if self._user is not None:
                self._user.become()
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execve(self._command[0], self._command, self._env)
        os.closerange(3, report)  # also the ends of other starts' pipes
        os.closerange(report + 1, 1024)

        def say(line):
            os.write(report, line.encode() + b"\n")

        say(f"started {program}")
        _Tracer(program, self.hook, say).run()

    def _report(self, word, timeout):
        """The number in the report of this kind."""
        deadline = time.monotonic() + timeout
        while word not in self._reported:
            if not select.select([self._reports], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(
                    f"not {word} within {timeout} s: {self._reported} {self._read(self._errors)}"
                )
            data = os.read(self._reports, 4096)
            if not data:
                raise AssertionError(
                    f"all ended and nothing was {word}: {self._reported} {self._read(self._errors)}"
                )
            *lines, self._rest = (self._rest + data.decode()).split("\n")
            self._reported.update((kind, int(number)) for kind, number in map(str.split, lines))
        return self._reported[word]

    def _read(self, fd):
        return os.pread(fd, 1 << 20, 0).decode(errors="replace")

    def wait(self, timeout=10):
        """The process that is at the hook, stopped if the hook says so."""
        pid = self._report("reached", timeout)
        if self.hook.stop and not clean.wait_until(
            lambda: clean.state(pid) in ("T", None), 2, 0.0005
        ):
            raise AssertionError(f"{pid} is not stopped")
        return pid

    def end(self, close_input=True, timeout=10):
        """Status, standard output and error; it must end by itself."""
        if close_input:
            os.close(self._stdin)
            self._stdin = None  # type: ignore[assignment]
        status = self._report("ended", timeout)
        return status, self._read(self._out), self._read(self._errors)

    def close(self):
        """Call it when all has been checked: what is still there is killed."""
        if not clean.wait_until(lambda: os.waitpid(self._tracer, os.WNOHANG)[0], 0.5):
            os.kill(self._tracer, signal.SIGKILL)
            os.waitpid(self._tracer, 0)
        for fd in {self._out, self._errors, self._reports, self._stdin} - {None}:
            os.close(fd)
