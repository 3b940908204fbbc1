"""Has a process make a system call that its code never makes, as a decoder that somebody took over
would.

    force_call(pid, "socket")       # with the arguments of the call it waits in

Needs root, Linux 5.3."""

import ctypes
import os
import platform
import signal
import struct

# Numbers on x86-64 and arm64.
_NUMBERS = {
    "execve": (59, 221),
    "socket": (41, 198),
    "ptrace": (101, 117),
    "kill": (62, 129),
    "openat": (257, 56),
    "clone": (56, 220),
    "mprotect": (10, 226),
}
_ARM = platform.machine() == "aarch64"
_POKE_USER, _SYSCALL, _DETACH, _SET_REGISTERS = 6, 24, 17, 0x4205
_SEIZE, _INTERRUPT, _SYSCALL_INFO = 0x4206, 0x4207, 0x420E
_SYSGOOD, _ORIG_RAX, _ARM_SYSTEM_CALL = 1, 120, 0x404
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, pid, address=0, data=0):
    result = _libc.ptrace(request, pid, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}: {os.strerror(ctypes.get_errno())}")
    return result


def _set_call(pid, number):
    if not _ARM:
        _ptrace(_POKE_USER, pid, _ORIG_RAX, number)
        return
    value = ctypes.create_string_buffer(struct.pack("=i", number))
    part = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(value), 4))
    _ptrace(_SET_REGISTERS, pid, _ARM_SYSTEM_CALL, ctypes.addressof(part))


def force_call(pid, name):
    """The next call of the process's first thread is this one instead."""
    info = ctypes.create_string_buffer(96)
    _ptrace(_SEIZE, pid, 0, _SYSGOOD)
    _ptrace(_INTERRUPT, pid)
    while True:
        _, status = os.waitpid(pid, 0x40000000)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError(pid)
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            _ptrace(_SYSCALL_INFO, pid, len(info), ctypes.addressof(info))
            if info[0] == b"\1":  # at its entry
                break
        _ptrace(_SYSCALL, pid)
    _set_call(pid, _NUMBERS[name][_ARM])
    _ptrace(_DETACH, pid)
