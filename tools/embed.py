#!/usr/bin/env python3
"""Turns files into a C++ source that defines one function that returns them as EmbeddedFile.

Usage: embed.py OUTPUT FUNCTION FILE...
"""

import os
import sys


def literal(data):
    """String literals, one per line of `data`. Octal escapes end after three digits whatever follows."""
    lines = []
    for line in data.splitlines(keepends=True):
        text = "".join(
            chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\?' else "\\%03o" % byte
            for byte in line
        )
        lines.append('    "%s"' % text)
    return "\n".join(lines) or '    ""'


def main(output, function, paths):
    files = []
    for path in sorted(paths, key=os.path.basename):
        with open(path, "rb") as file:
            files.append((os.path.basename(path), file.read()))
    with open(output, "w", encoding="ascii") as out:
        out.write('#include <span>\n\n#include "haft/base/embedded_file.h"\n\nnamespace haft {\n\n')
        out.write("std::span<const EmbeddedFile> %s() {\n" % function)
        if files:
            out.write("  static constexpr EmbeddedFile kFiles[] = {\n")
            for name, data in files:
                out.write('  {"%s", {\n%s, %d}},\n' % (name, literal(data), len(data)))
            out.write("  };\n  return kFiles;\n")
        else:
            out.write("  return {};\n")
        out.write("}\n\n}  // namespace haft\n")


main(sys.argv[1], sys.argv[2], sys.argv[3:])
