#!/usr/bin/env python3
"""Checks who includes whom: the modules of haft, other people's libraries, and the calls that
belong in one place.

usage: layering.py [REPOSITORY]"""

import collections
import graphlib
import pathlib
import re
import sys

MODULES = {
    "base": [],
    "format": ["base"],
    "image": ["base", "format"],
    "trust": ["base", "format"],
    "fuse": ["base", "format", "image"],
    "server": ["base", "format", "image", "fuse"],
    "mount": ["base", "format", "image", "fuse", "server"],
    "inspect": ["base", "format", "image", "mount"],
    "launch": ["base", "format"],
    "install": ["base", "format", "launch"],
    "tree": ["base", "format"],
    "writer": ["base", "format", "tree"],
    "python": ["base", "format", "launch", "tree"],
    "web": ["base", "format", "tree", "python"],
    "stack": ["base", "format", "tree", "python"],
    "archive": ["base", "format", "image", "tree", "writer", "python"],
    "build": ["base", "format", "launch", "tree", "writer", "python", "web", "stack", "archive"],
    "trace": ["base", "format", "image", "fuse"],
    "bench": ["base", "format", "image", "launch"],
    "start": ["base", "format", "image", "trust", "fuse", "mount", "launch"],
    "command": ["base"],
    "launcher": [],  # freestanding
    "runtime": ["base", "format", "image", "start", "launch"],
    "cli": None,  # all
}
# Headers: the modules that may use them.
LIBRARIES = {
    r"lz4.*": ["format"],
    r"zstd.*": ["format"],
    r"xxhash\.h": ["archive"],
    r"openssl/.*": ["format"],
    r"sodium.*": ["trust"],
    r"zip\.h": ["archive"],
    r"fuse.*": ["fuse"],
    r"cxxopts\.hpp": ["command"],
    r"toml\+\+/.*": ["cli"],
    r"nlohmann/.*": [
        "format",
        "trust",
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
    r"getenv|secure_getenv": ["base"],  # variables.h
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
                yield (
                    f"{where}: this call belongs in {' or '.join(allowed) or 'no module'}: "
                    f"{line.strip()}"
                )


class Source:
    """A file of haft: its path in the repository, its module, and the files of haft it includes."""

    def __init__(self, root, path):
        self.path = path.relative_to(root)
        self.is_public = self.path.parts[0] == "include"
        self.module = self.path.parts[2 if self.is_public else 1]
        self.text = path.read_text(encoding="utf-8")
        self.includes = {
            pathlib.Path("include", name) if name.startswith("haft/") else self.path.parent / name
            for name in re.findall(r'^ *# *include *"([^"]+)"', self.text, re.MULTILINE)
        }

    @property
    def unit(self):
        """ "module/name" of a header together with its .cc file."""
        return f"{self.module}/{self.path.stem}"


def circles_in(sources):
    """Files that include each other, a header and its .cc file taken as one."""
    units = {source.path: source.unit for source in sources}
    graph: dict[str, set[str]] = collections.defaultdict(set)
    for source in sources:
        graph[source.unit] |= {units[path] for path in source.includes if path in units}
    for unit, others in graph.items():
        others.discard(unit)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        yield f"{circle}: a circle of includes; move what both need into a header of its own"


def lonely_headers_in(sources):
    """Public headers that no other module includes, directly or through a public header."""
    by_path = {source.path: source for source in sources}
    shared = set()
    wanted = [
        path
        for source in sources
        for path in source.includes
        if path in by_path and by_path[path].module != source.module
    ]
    while wanted:
        path = wanted.pop()
        if path in by_path and path not in shared:
            shared.add(path)
            wanted += by_path[path].includes
    for source in sources:
        if source.is_public and source.path not in shared:
            yield (
                f"{source.path}:1: no other module includes this header; "
                f"move it to src/{source.module}"
            )


def problems_of(root):
    """A line for each thing that is wrong, with its place."""
    files = [
        path
        for folder in ("include/haft", "src")
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in (".h", ".cc") and path.parent.name != "pch"
    ]  # precompiled headers are not a module
    sources = [Source(root, path) for path in files]
    problems = []
    for source in sources:
        if source.module in MODULES:
            problems += problems_in(source.path, source.module, source.text)
        else:
            problems.append(f"{source.path}:1: {source.module} is not a module")
    return [*problems, *circles_in(sources), *lonely_headers_in(sources)]


def main():
    problems = problems_of(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    print("\n".join(problems) or "all files are in their layer")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
