"""Writes a zip archive as zipapp does: make_zip.py ARCHIVE MAIN DIRECTORY... (MAIN becomes
__main__.py)."""

import os
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1], "w") as archive:
    archive.write(sys.argv[2], "__main__.py")
    for top in sys.argv[3:]:
        for directory, names, files in os.walk(top):
            names.sort()
            for name in sorted(files):
                path = os.path.join(directory, name)
                archive.write(path, os.path.relpath(path, top))
