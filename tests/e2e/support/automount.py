#!/usr/bin/python3
"""A daemon of the kernel's autofs, as automount(8) and systemd's .automount units are, without
either.

    automount.py direct|indirect DIRECTORY        (as root)

Mounts autofs on DIRECTORY and serves it until its standard input ends: what is asked for becomes a
tmpfs with a file `inside` (indirect: below the name that was asked for; direct: on DIRECTORY
itself). Prints "ready", and then a line for each request."""

import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
READY, FAIL, CATATONIC = 0x9360, 0x9361, 0x9362  # ioctls of linux/auto_fs.h
PACKET = struct.Struct("=iiIIQIIIII256s4x")  # autofs_v5_packet
MISSING = (3, 5)  # indirect, direct


def mount(source, target, kind, options):
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {kind} on {target}")


def main():
    kind, directory = sys.argv[1:]
    requests, kernels_end = os.pipe()
    os.setpgid(0, 0)  # what this group does there, the kernel does not ask about
    mount(
        "haft-test",
        directory,
        "autofs",
        f"fd={kernels_end},pgrp={os.getpgrp()},minproto=5,maxproto=5,{kind}",
    )
    os.close(kernels_end)
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([requests, 0], [], [])
        if requests not in ready:
            break
        packet = PACKET.unpack(os.read(requests, PACKET.size))
        token, name = packet[2], packet[-1][: packet[-2]].decode()
        answer = FAIL
        if packet[1] in MISSING:
            target = f"{directory}/{name}" if kind == "indirect" else directory
            os.makedirs(target, exist_ok=True)
            mount("automounted", target, "tmpfs", "mode=0755,size=64k")
            with open(f"{target}/inside", "w") as file:
                file.write("inside\n")
            answer = READY
        print(name, flush=True)
        fcntl.ioctl(root, answer, token)
    fcntl.ioctl(root, CATATONIC, 0)
    os.close(root)
    while (
        subprocess.run(
            ["umount", "-R", "-l", directory], check=False, stderr=subprocess.DEVNULL
        ).returncode
        == 0
    ):
        pass  # one on top of the other


if __name__ == "__main__":
    main()
