"""Archives as other tools make them: shiv, pex, zipapp, wheels. Layouts only; none of their code is
in them.

What such a tool puts in to start the archive raises an error here: haft has to do without it.
"""

import json
import pathlib
import zipfile

DATE = (1980, 1, 1, 0, 0, 0)
_NOT_RUN = "raise SystemExit('the archive was started by its own code')\n"


def write_zip(path, files, *, stub=b"", compressed=True, mode=0o755):
    """A zip of {name: str or bytes, or (content, mode), or None for a directory}, with `stub` in
    front."""
    path = pathlib.Path(path)
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with open(path, "wb") as out:
        out.write(stub)
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, value in files.items():
                content, bits = value if isinstance(value, tuple) else (value, 0o644)
                info = zipfile.ZipInfo(name + "/" if content is None else name, DATE)
                info.external_attr = (0o40755 if content is None else 0o100000 | bits) << 16
                info.compress_type = method
                archive.writestr(info, content or b"")
    path.chmod(mode)
    return path


def _shebang(line):
    return f"#!{line}\n".encode() if line else b""


def _below(directory, files):
    return {f"{directory}/{name}": content for name, content in files.items()}


def zipapp(path, files, *, python="/usr/bin/env python3", **options):
    """As python -m zipapp: the files and a __main__.py."""
    return write_zip(path, files, stub=_shebang(python), **options)


def shiv(
    path,
    site_packages,
    *,
    entry_point=None,
    script=None,
    python="/usr/bin/env python3",
    environment=None,
    **options,
):
    """As shiv: site-packages/, _bootstrap/, environment.json."""
    description = {
        "always_write_cache": False,
        "build_id": "0123456789abcdef",
        "built_at": "1980-01-01 00:00:00",
        "compile_pyc": False,
        "entry_point": entry_point,
        "extend_pythonpath": False,
        "hashes": {},
        "no_modify": False,
        "prepend_pythonpath": None,
        "preamble": None,
        "reproducible": True,
        "root": None,
        "script": script,
        "shiv_version": "1.0.8",
        **(environment or {}),
    }
    files = {
        **_below("site-packages", site_packages),
        "_bootstrap/__init__.py": _NOT_RUN,
        "environment.json": json.dumps(description, indent=2),
        "__main__.py": _NOT_RUN,
    }
    return write_zip(path, files, stub=_shebang(python), **options)


def pex(
    path, files=None, distributions=None, *, python="/usr/bin/env python3", info=None, **options
):
    """As pex --layout zipapp: the application at the root, each distribution in a directory below
    .deps."""
    description = {
        "build_properties": {},
        "code_hash": "0" * 40,
        "distributions": {},
        "entry_point": None,
        "inherit_path": "false",
        "interpreter_constraints": [],
        "pex_hash": "0" * 40,
        "requirements": [],
        **(info or {}),
    }
    content = {
        "PEX-INFO": json.dumps(description),
        "__main__.py": _NOT_RUN,
        "__pex__/__init__.py": _NOT_RUN,
        ".bootstrap/pex/__init__.py": _NOT_RUN,
        **(files or {}),
    }
    for name, distribution in (distributions or {}).items():
        content.update(
            {f".deps/{name}": distribution}
            if isinstance(distribution, bytes)
            else _below(f".deps/{name}", distribution)
        )
    return write_zip(path, content, stub=_shebang(python), **options)


def wheel(path, name, files, *, scripts=None, version="1.0"):
    """A wheel: the files, and NAME-VERSION.dist-info."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    if scripts:
        content[f"{info}/entry_points.txt"] = "[console_scripts]\n" + "".join(
            f"{k} = {v}\n" for k, v in scripts.items()
        )
    content[f"{info}/RECORD"] = "".join(f"{entry},,\n" for entry in content)
    return write_zip(path, content, mode=0o644)


def damage(path, name):
    """Changes one byte in the middle of the data of an entry."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
    content = bytearray(path.read_bytes())
    header = info.header_offset
    data = (
        header
        + 30
        + int.from_bytes(content[header + 26 : header + 28], "little")
        + int.from_bytes(content[header + 28 : header + 30], "little")
    )
    content[data + info.compress_size // 2] ^= 0x55
    path.write_bytes(content)
