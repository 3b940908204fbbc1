#!/usr/bin/env python3
"""Checks who includes whom: the modules of haft, other people's libraries, and the calls that belong in one place.

usage: layering.py [REPOSITORY]"""

import pathlib
import re
import sys

MODULES = {
    "base": [],
    "format": ["base"],
    "launch": ["base", "format"],
    "pack": ["base", "format", "launch"],
    "image": ["base", "format"],
    "mount": ["base", "format", "image"],
    "trace": ["base", "image", "mount"],
    "bench": ["base", "format", "image", "launch"],
    "zip": ["base", "format", "pack", "image"],
    "start": ["base", "format", "image", "mount", "launch"],
    "launcher": [],  # freestanding
    "cli": ["base", "format", "pack", "image", "zip", "mount", "trace", "bench", "launch", "start"],
    "runtime": ["base", "format", "image", "mount", "launch", "start"],
}
# Headers: the modules that may use them.
LIBRARIES = {
    r"lz4.*": ["format"],
    r"zstd.*": ["format"],
    r"xxhash\.h": ["format"],
    r"zip\.h": ["zip"],
    r"fuse.*": ["mount"],
    r"cxxopts\.hpp": ["cli"],
    r"toml\+\+/.*": ["cli"],
    r"nlohmann/.*": ["format", "pack", "zip", "mount", "trace", "bench", "cli"],
    r"gtest/.*|gmock/.*": [],
    r"sys/mount\.h": ["mount"],
}
# Calls that change the process or the host: the modules that may make them.
CALLS = {
    r"execv\w*|execl\w*|fexecve": ["launch", "base"],  # base: Subprocess
    r"mount|umount2?|unshare|setns": ["mount"],
    r"system|popen": [],
}


def problems_in(path, module, text):
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{number}"
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if found:
            name = found[2]
            if ".." in name:
                yield f"{where}: {name}: includes start at the root or in the same folder"
            elif name.startswith("haft/"):
                other = name.split("/")[1]
                if other != module and other not in MODULES[module]:
                    yield f"{where}: {module} must not include {other} ({name})"
            elif found[1] == "<":
                for pattern, allowed in LIBRARIES.items():
                    if re.fullmatch(pattern, name) and module not in allowed:
                        yield f"{where}: <{name}> belongs in {' or '.join(allowed) or 'tests'} only"
            elif "/" in name:
                yield f"{where}: {name}: a private header of another folder"
            elif path.parts[-2] != module or "include" in path.parts:
                yield f"{where}: {name}: public headers include public headers"
        for pattern, allowed in CALLS.items():
            if re.search(rf"::({pattern})\(", line.split("//")[0]) and module not in allowed:
                yield f"{where}: this call belongs in {' or '.join(allowed) or 'no module'}: {line.strip()}"


def main(root):
    files = [
        path
        for folder in ("include/haft", "src")
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in (".h", ".cc") and path.parent.name != "pch"
    ]  # precompiled headers are no module
    problems = []
    for path in files:
        module = path.relative_to(
            root / ("include/haft" if root / "include" in path.parents else "src")
        ).parts[0]
        if module not in MODULES:
            problems.append(f"{path}: {module} is no module")
            continue
        problems += problems_in(path.relative_to(root), module, path.read_text(encoding="utf-8"))
    print("\n".join(problems) or f"{len(files)} files, all in their layer")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
