"""Wheels made by hand: zip files with a RECORD, as pip wants them.

wheel(directory, "tool", "1.0", {"tool.py": "..."},
      entry_points="[console_scripts]\\ntool = tool:main\\n")
"""

import base64
import hashlib
import zipfile


def wheel(directory, name, version, files, entry_points="", requires=(), scripts=None):
    """Writes NAME-VERSION-py3-none-any.whl; returns its path. `scripts`: {name: text} for bin/."""
    info = f"{name}-{version}.dist-info"
    files = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    for script, text in (scripts or {}).items():
        files[f"{name}-{version}.data/scripts/{script}"] = (
            text.encode() if isinstance(text, str) else text
        )
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info}/METADATA"] = (
        metadata + "".join(f"Requires-Dist: {other}\n" for other in requires)
    ).encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if entry_points:
        files[f"{info}/entry_points.txt"] = entry_points.encode()
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            one = zipfile.ZipInfo(member, (2024, 1, 2, 3, 4, 6))
            one.external_attr = (0o100755 if "/scripts/" in member else 0o100644) << 16
            archive.writestr(one, data)
    return path
