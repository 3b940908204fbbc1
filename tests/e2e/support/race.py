"""A program: another user races the starts of a bundle for the directory they make in /tmp.

    unshare -m race.py BUNDLE UID MODE STARTS FUSE_NODE CODE

As root, in a mount namespace of its own, which gets an empty /tmp. The bundle is started as UID.
The attacker, uid 4242, plants under the directory's name, as often as he can, a directory, a link
to one, a file, and a copy of an unpacked bundle with another program in it, and takes it away
again. Prints what happened, as JSON."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

ATTACKER = 4242
HIS = pathlib.Path("/tmp/his")
EVIL = "print('EVIL', flush=True)\n"

USER: int  # set by main()
PLACE: pathlib.Path


def become(uid):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def start(bundle, mode, code):
    return subprocess.Popen(
        [bundle, code],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HAFT_MODE": mode},
        preexec_fn=lambda: become(USER),  # noqa: PLW1509  # no threads here
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def prepare(bundle):
    """What the attacker plants: HIS/target, and HIS/copy, which looks like an unpacked bundle."""
    running = start(bundle, "extract", "print('ready', flush=True); time.sleep(2)")
    assert running.stdout.readline() == "ready\n", running.stderr.read()
    shutil.copytree(PLACE, HIS / "copy", symlinks=True)
    running.kill()
    running.communicate()
    while PLACE.exists():
        time.sleep(0.01)
    for program in HIS.glob("copy/*/lab/site-packages/lab.py"):
        program.write_text(EVIL)
        for cached in program.parent.glob("__pycache__/lab.*"):
            cached.unlink()
    (HIS / "target").mkdir()
    (HIS / "target" / "his").write_text("his")
    for directory, names, files in os.walk(HIS):
        os.chmod(directory, 0o777)
        for name in (".", *names, *files):
            os.chown(os.path.join(directory, name), ATTACKER, ATTACKER, follow_symlinks=False)


def contents(directory):
    return sorted(
        os.path.join(top, name)
        for top, names, files in os.walk(directory)
        for name in names + files
    )


def wait_until_it_is_free():
    for _ in range(1000):
        try:
            if os.lstat(PLACE).st_uid != USER:
                return
        except FileNotFoundError:
            return
        time.sleep(0.001)


def attack(report):
    """Until SIGTERM."""
    done = []
    signal.signal(signal.SIGTERM, lambda *_: done.append(1))
    become(ATTACKER)
    os.nice(5)
    before = contents(HIS)
    planted, stolen, strange = (
        dict.fromkeys(("directory", "link", "copy link", "copy", "file"), 0),
        0,
        [],
    )
    chance = random.Random(36)
    os.umask(0)
    while not done:
        how = chance.choice(list(planted))
        try:
            if how == "directory":
                PLACE.mkdir(0o777)
            elif how == "link":
                PLACE.symlink_to(HIS / "target")
            elif how == "copy link":
                PLACE.symlink_to(HIS / "copy")
            elif how == "copy":
                PLACE.mkdir(
                    0o777
                )  # as long as it is free; a directory of another user's is not replaced by rename
                os.rename(HIS / "copy", PLACE)
            else:
                PLACE.touch(0o777, exist_ok=False)
        except OSError:
            try:
                os.rename(PLACE, HIS / "stolen")
                stolen += 1
            except OSError:
                pass
            time.sleep(0.0005)
            continue
        planted[how] += 1
        time.sleep(chance.choice((0, 0.0002, 0.001, 0.005)))
        if how == "copy":
            os.rename(PLACE, HIS / "copy")
        elif how == "directory":
            strange += contents(PLACE)
            shutil.rmtree(PLACE)
        else:
            PLACE.unlink()
        time.sleep(chance.choice((0, 0.0002, 0.001, 0.02)))
    with os.fdopen(report, "w") as file:
        after = contents(HIS)
        json.dump(
            {
                "planted": planted,
                "stolen": stolen,
                "strange": strange + sorted(set(before) ^ set(after)),
            },
            file,
        )
    os._exit(0)


def main():
    global USER, PLACE
    bundle, user, mode, starts, node, code = sys.argv[1:]
    USER = int(user)
    PLACE = pathlib.Path(f"/tmp/haft-{USER}")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "none", "/tmp"], check=True)
    subprocess.run(["mount", "--bind", node, "/dev/fuse"], check=True)
    prepare(bundle)
    reader, writer = os.pipe()
    attacker = os.fork()
    if attacker == 0:
        os.close(reader)
        attack(writer)
    os.close(writer)
    ends: dict = {}
    for _ in range(int(starts)):
        end = start(bundle, mode, code)
        end = json.dumps((*end.communicate(timeout=30), end.returncode))
        ends[end] = ends.get(end, 0) + 1
        wait_until_it_is_free()
    os.kill(attacker, signal.SIGTERM)
    with os.fdopen(reader) as file:
        result = json.load(file)
    os.waitpid(attacker, 0)
    for _ in range(400):
        left = contents(PLACE) + [
            line
            for line in pathlib.Path("/proc/mounts").read_text().splitlines()
            if "fuse.haft" in line
        ]
        if not left and not PLACE.exists():
            break
        time.sleep(0.01)
    print(
        json.dumps(
            {
                **result,
                "ends": [[*json.loads(end), count] for end, count in ends.items()],
                "left": left,
            }
        )
    )


if __name__ == "__main__":
    main()
