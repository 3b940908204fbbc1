#!/usr/bin/env python3
"""Checks who includes whom: the modules of haft, other people's libraries, and the calls that belong in one place.

usage: layering.py [REPOSITORY]"""

import pathlib
import re
import sys

MODULES = {
    "base": [],
    "format": ["base"],
    "image": ["base", "format"],
    "fuse": ["base", "format", "image"],
    "server": ["base", "format", "image", "fuse"],
    "mount": ["base", "format", "image", "fuse", "server"],
    "inspect": ["base", "format", "image", "mount"],
    "launch": ["base", "format"],
    "tree": ["base", "format"],
    "writer": ["base", "format", "tree"],
    "python": ["base", "format", "launch", "tree"],
    "web": ["base", "format", "tree", "python"],
    "stack": ["base", "format", "tree", "python"],
    "build": ["base", "format", "launch", "tree", "writer", "python", "web", "stack"],
    "archive": ["base", "format", "image", "tree", "writer", "python"],
    "trace": ["base", "format", "image", "fuse"],
    "bench": ["base", "format", "image", "launch"],
    "start": ["base", "format", "image", "fuse", "mount", "launch"],
    "launcher": [],  # freestanding
    "runtime": ["base", "format", "image", "start", "launch"],
    "cli": None,  # all
}
# Headers: the modules that may use them.
LIBRARIES = {
    r"lz4.*": ["format"],
    r"zstd.*": ["format"],
    r"xxhash\.h": ["format"],
    r"zip\.h": ["archive"],
    r"fuse.*": ["fuse"],
    r"cxxopts\.hpp": ["cli"],
    r"toml\+\+/.*": ["cli"],
    r"nlohmann/.*": [
        "format",
        "fuse",
        "inspect",
        "stack",
        "build",
        "archive",
        "trace",
        "bench",
        "cli",
    ],
    r"gtest/.*|gmock/.*": [],
    r"sys/mount\.h": ["mount"],
}
# Calls that change the process or the host: the modules that may make them.
CALLS = {
    r"execv\w*|execl\w*|fexecve": ["launch", "base"],  # base: Subprocess
    r"mount|umount2?|unshare": ["mount"],
    r"setns": ["mount", "inspect"],
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
                allowed = MODULES[module]
                if other != module and allowed is not None and other not in allowed:
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
