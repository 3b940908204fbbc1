#!/usr/bin/python3
"""Runs a command whose system calls of some numbers fail with EPERM, as in a container with a
seccomp profile; with --kill they end it, as in a service of systemd.

    deny.py [--kill] unshare,setns COMMAND [WORD...]

Needs CAP_SYS_ADMIN (it does not set NO_NEW_PRIVS)."""

import ctypes
import os
import platform
import struct
import sys

NUMBERS = {
    "x86_64": {"mount": 165, "pivot_root": 155, "unshare": 272, "setns": 308, "pidfd_open": 434},
    "aarch64": {"mount": 40, "pivot_root": 41, "unshare": 97, "setns": 268, "pidfd_open": 434},
}
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0x80000000


def program(numbers, refusal):
    """BPF: load the number, jump to the refusal if it is one of these."""
    code = [(LOAD, 0, 0, 0)]
    for i, number in enumerate(numbers):
        code.append((JUMP_EQUAL, len(numbers) - i, 0, number))
    return b"".join(
        struct.pack("HBBI", *line)
        for line in [*code, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, refusal)]
    )


def main():
    refusal = EPERM
    if sys.argv[1] == "--kill":
        refusal = KILL
        del sys.argv[1]
    numbers = [NUMBERS[platform.machine()][name] for name in sys.argv[1].split(",")]
    code = program(numbers, refusal)
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if (
        libc.prctl(22, 2, ctypes.create_string_buffer(header), 0, 0) != 0
    ):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
