"""The lab: a small bundle whose program runs the Python code given as its first argument.

    run([lab(), "os._exit(9)"])
    run([lab(), "import lab_lazy.m7; print(lab_lazy.m7.VALUE)"])

sys.argv stays as the program got it. A variable `result` set by the code becomes the return value
of the entry function. In the tree: lab, lab_lazy.m0…m199 (VALUE = number, and some text),
lab_data/big.bin (1 MiB, not compressible) and lab_data/text.txt.
"""

import functools
import hashlib

from support import trees

_LAB = '''\
"""Runs the code in its first argument."""
import os
import signal
import sys
import time


def main():
    space = {"os": os, "signal": signal, "sys": sys, "time": time, "__name__": "lab_code"}
    exec(compile(sys.argv[1] if len(sys.argv) > 1 else "", "<lab>", "exec"), space)
    return space.get("result")


if __name__ == "__main__":
    sys.exit(main())
'''


def _files():
    noise = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(32768))
    files = {
        "lab.py": _LAB,
        "lab_lazy/__init__.py": "",
        "lab_data/big.bin": noise,
        "lab_data/text.txt": "text of the lab\n",
        "lab_data/empty": "",
        "lab-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n",
        "lab-1.0.dist-info/entry_points.txt": "[console_scripts]\nlab = lab:main\n"
        "lab-other = lab:main\n",
        "lab-1.0.dist-info/RECORD": "",
    }
    for i in range(200):
        files[f"lab_lazy/m{i}.py"] = (
            f'"""Module {i}."""\nVALUE = {i}\nTEXT = """{noise[i * 999 :][:900].hex()}"""\n'
        )
    return files


@functools.cache  # its megabyte is made of hashes; tests ask for the lab hundreds of times
def lab(*arguments):
    """The lab's bundle, built as a console script or as the arguments say."""
    return trees.app("lab", _files(), *(arguments or ("-c", "lab")))


@functools.cache
def lab_tree():
    """The lab's files as a plain directory, to compare with."""
    with trees.made_once("lab-tree") as path:
        if not path.exists():
            trees.write_tree(path.with_suffix(".new"), _files()).rename(path)
        return path


def code_app(name, code, files=None):
    """A bundle `name` with the entry module run by -m, made of `code`."""
    return trees.app(name, {**(files or {}), "code_app.py": code}, "-m", "code_app")
