#!/usr/bin/env python3
"""Turns files into a C++ source that defines one function that returns them as EmbeddedFile.

Usage: embed.py OUTPUT FUNCTION FILE...
"""

import os
import sys


def literal(data):
    """String literals, one per line of `data`. Octal escapes end after three digits whatever
    follows."""
    lines = []
    for line in data.splitlines(keepends=True):
        text = "".join(
            chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\?' else f"\\{byte:03o}"
            for byte in line
        )
        lines.append(f'    "{text}"')
    return "\n".join(lines) or '    ""'


def main(output, function, paths):
    files = []
    for path in sorted(paths, key=os.path.basename):
        with open(path, "rb") as file:
            files.append((os.path.basename(path), file.read()))
    with open(output, "w", encoding="ascii") as out:
        out.write('#include <span>\n\n#include "haft/base/embedded_file.h"\n\nnamespace haft {\n\n')
        out.write(f"std::span<const EmbeddedFile> {function}() {{\n")
        if files:
            out.write("  static constexpr EmbeddedFile kFiles[] = {\n")
            for name, data in files:
                out.write(f'  {{"{name}", {{\n{literal(data)}, {len(data)}}}}},\n')
            out.write("  };\n  return kFiles;\n")
        else:
            out.write("  return {};\n")
        out.write("}\n\n}  // namespace haft\n")


main(sys.argv[1], sys.argv[2], sys.argv[3:])
