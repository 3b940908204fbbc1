#!/usr/bin/python3
"""Every archive of a corpus against its oracle and against Python's zipfile.

    tests/archive/corpus_test.py BUILD/tests/archive/zip_probe

HAFT_ZIP_CORPUS names the corpus, by default ../shared/corpora/zip beside the repository; without
one the test is skipped (exit status 77). Its expected.json says what each archive is: OPEN, OPEN*
(opens although libzip alone refuses it), REJECT. Verdicts of ours that differ are in
corpus_exceptions.json, with the reason; a reason nobody needs any more is a failure, too. What
opens has the names, types, modes, sizes and contents that zipfile finds. Each archive gets 2
seconds and 256 MiB; an error is one line that names the archive.
"""

import hashlib
import json
import os
import pathlib
import resource
import stat
import subprocess
import sys
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = pathlib.Path(os.environ.get("HAFT_ZIP_CORPUS", HERE.parents[2] / "shared/corpora/zip"))
SECONDS = 2
MEMORY = 256 << 20
SKIPPED = 77
EXCEPTIONS = HERE / "corpus_exceptions.json"


def cases():
    """Yields (name, "OPEN" or "REJECT", why ours may differ or None) for each archive."""
    exceptions = json.loads(EXCEPTIONS.read_text())
    for name, expected in sorted(json.loads((CORPUS / "expected.json").read_text()).items()):
        yield name, expected[0].rstrip("*"), exceptions.get(name)


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def probe(program, path):
    """(exit status, standard output, standard error, seconds)."""
    begin = time.monotonic()
    # The sanitizers reserve address space by the terabyte.
    limit = None if os.environ.get("HAFT_SANITIZED") else limit_memory
    done = subprocess.run(
        [program, path], capture_output=True, preexec_fn=limit, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr.decode("utf-8"), time.monotonic() - begin


def parse(output):
    """{path: (type, mode, size, sha256 or target)} of what zip_probe wrote; paths are bytes."""
    tree = {}
    position = 0
    while position < len(output):
        end = output.index(b"\n", position)
        line = json.loads(output[position:end])
        position = end + 1
        content = None
        if line["type"] == "file":
            content = hashlib.sha256(output[position : position + line["size"]]).hexdigest()
            position += line["size"]
        elif line["type"] == "link":
            content = line["target"].encode("latin-1")
        tree[line["name"].encode("latin-1")] = (line["type"], line["mode"], line["size"], content)
    return tree


def python_tree(path):
    """The same as zipfile sees it, by the rules of include/haft/archive/zip_directory.h for types
    and modes."""
    tree = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
            attributes = info.external_attr >> 16
            data = archive.read(info)
            if name.endswith(b"/"):
                tree[name[:-1]] = (
                    "directory",
                    attributes & 0o777 if attributes else 0o755,
                    0,
                    None,
                )
            elif stat.S_ISLNK(attributes):
                tree[name] = ("link", 0o777, len(data), data)
            else:
                mode = attributes & 0o777 if attributes else 0o644
                tree[name] = ("file", mode, len(data), hashlib.sha256(data).hexdigest())
    implied = set()
    for name in tree:
        parts = name.split(b"/")
        implied.update(b"/".join(parts[:i]) for i in range(1, len(parts)))
    for name in implied - set(tree):
        tree[name] = ("directory", 0o755, 0, None)
    return tree


def compare(path, output):
    """Problems of an archive that opened."""
    ours, theirs = parse(output), python_tree(path)
    for name in sorted(set(ours) | set(theirs)):
        if ours.get(name) != theirs.get(name):
            yield f"{name!r}: {ours.get(name)} and for Python {theirs.get(name)}"


def check(program, path):
    """(verdict, problems, seconds) for one archive."""
    status, output, error, seconds = probe(program, str(path))
    problems = []
    if seconds > SECONDS:
        problems.append(f"took {seconds:.1f} s")
    if status == 0:
        try:
            problems.extend(compare(path, output))
        except Exception as failure:  # what zipfile raises is not documented
            problems.append(f"opens, but Python says: {failure!r}")
        return "OPEN", problems, seconds
    if status != 1:
        problems.append(f"ended with status {status}: {error[-2000:]}")
    if error.count("\n") != 1 or path.name not in error:
        problems.append(f"not one line that names the archive: {error!r}")
    return "REJECT", problems, seconds


def main():
    program = os.path.abspath(sys.argv[1])
    if not (CORPUS / "expected.json").exists():
        print(f"skipped: no corpus at {CORPUS}; HAFT_ZIP_CORPUS names one")
        return SKIPPED
    exceptions = json.loads(EXCEPTIONS.read_text())
    archives = list(cases())
    failures, verdicts, slowest = [], {"OPEN": 0, "REJECT": 0}, 0.0
    used = set()
    for name, expected, exception in archives:
        verdict, problems, seconds = check(program, CORPUS / name)
        slowest = max(slowest, seconds)
        verdicts[verdict] += 1
        if verdict != expected:
            if exception:
                used.add(name)
            else:
                problems.append(f"{verdict}, but {expected} is expected")
        failures += [f"{name}: {problem}" for problem in problems]
    failures += [
        f"{name}: in corpus_exceptions.json, but as expected" for name in exceptions.keys() - used
    ]
    for failure in failures:
        print(failure)
    print(
        f"{len(archives)} archives: {verdicts['OPEN']} open and equal Python's, "
        f"{verdicts['REJECT']} rejected, "
        f"{len(used)} verdicts explained by corpus_exceptions.json, {len(failures)} failures; "
        f"slowest {slowest:.2f} s, largest "
        f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10} MiB"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
