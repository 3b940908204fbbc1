"""Generated trees of files."""

import os
import shutil

from benchmarks.bench import ENTRY


def make_files(bench, count):
    """A tree of `count` small files of 20 different contents, 100 in a directory."""
    tree = bench.work / f"tree-{count}"
    if tree.exists():
        return tree
    new = tree.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    contents = []
    for number in range(20):
        content = bench.work / f"content-{number}"
        content.write_text(f"VALUE = {number}\n" * (1 + 3 * number))
        contents.append(os.fspath(content))
    directories = count // 100
    for first in range(0, directories, 100):
        group = new / f"group{first // 100}"
        group.mkdir()
        bench.progress.show(f"making {count} files: {first * 100}")
        for number in range(first, min(first + 100, directories)):
            directory = f"{group}/package{number}"
            os.mkdir(directory)
            for file in range(100):  # hard links: quick to make, and separate files in the image
                os.link(contents[file % 20], f"{directory}/module{file}.py")
    (new / "bench_entry.py").write_text(ENTRY)
    new.rename(tree)
    return tree
