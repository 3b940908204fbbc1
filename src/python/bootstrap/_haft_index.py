"""Serves the modules a start imports from one file, the import index, as if they came from files of
their own.

The index (docs/format.md) holds the .pyc files of the start in the order of import; reading it
costs a few requests, reading them one by one several for each. It is used through sys.path_hooks: a
finder for every directory that has modules in it. So sys.path alone decides what is imported, as
always; what the index does not hold, the finder looks for in its directory. Modules get the loader,
spec and attributes they would have got.

Anything unusual (another Python, -O, -v, a cache prefix, checked hashes, HAFT_INDEX=0) is left to
the files.
"""

import _frozen_importlib
import _frozen_importlib_external as external
import _imp
import marshal
import posix
import sys

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import types

HERE = __file__.rpartition("/")[0] if "/" in __file__ else ""
NAME = "modules.index"
MAGIC = b"haftmod1"
HEADER = 16
PYC_HEADER = 16
PAGE = 4096
TABLE = 32 << 10  # read at first; few tables are larger
WINDOW = 96 << 10  # below what malloc takes from the kernel, and gives back, every time

ModuleSpec = _frozen_importlib.ModuleSpec
Loader = external.SourceFileLoader
CACHED = f".{sys.implementation.cache_tag}.pyc"
_plain_get_code = Loader.get_code


class Index:
    """The file. No descriptor is kept; the part read last is, since modules are imported in about
    its order."""

    def __init__(self, path: str, base: int, data: bytes) -> None:
        self.path = path
        self.base = base  # where the modules begin
        self.window = 0, data  # (offset, bytes)

    def read(self, offset: int, size: int) -> "memoryview | None":
        """A view of bytes of the modules, or None if the file cannot be read."""
        offset += self.base
        begin, data = self.window
        if begin <= offset and offset + size <= begin + len(data):
            return memoryview(data)[offset - begin : offset - begin + size]
        try:
            if offset < begin:
                data = read_part(self.path, offset, size)
                return memoryview(data) if len(data) == size else None
            begin = offset // PAGE * PAGE
            data = read_part(self.path, begin, max(WINDOW, offset + size - begin))
        except OSError:
            return None
        if len(data) < offset + size - begin:
            return None
        self.window = begin, data
        return memoryview(data)[offset - begin : offset - begin + size]


def read_part(path: str, offset: int, size: int) -> bytes:
    """`size` bytes, fewer at the end of the file."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        data = posix.pread(descriptor, size, offset)
        while len(data) < size:
            more = posix.pread(descriptor, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data
    finally:
        posix.close(descriptor)


class IndexFinder(external.FileFinder):
    """Finds in a directory of the image, asking the index first."""

    def __init__(self, path: str, modules: dict, index: Index, *loaders: tuple) -> None:
        external.FileFinder.__init__(self, path, *loaders)
        self._haft_modules = modules
        self._haft_index = index

    def find_spec(
        self, fullname: str, target: "types.ModuleType | None" = None
    ) -> "ModuleSpec | None":
        name = fullname.rpartition(".")[2]
        place = self._haft_modules.get(name)
        if (
            place is None
            or sys.pycache_prefix is not None
            or Loader.get_code is not _plain_get_code
        ):
            return external.FileFinder.find_spec(self, fullname, target)
        is_package = place[2]
        # What spec_from_file_location() makes of these, without what it has to find out.
        directory, locations, stem = self.path, None, name
        if is_package:
            directory, stem = directory + "/" + name, "__init__"
            locations = [directory]
        path = directory + "/" + stem + ".py"
        loader = Loader(fullname, path)
        serve_once(loader, self._haft_modules, name, self._haft_index)
        spec = ModuleSpec(fullname, loader, origin=path)
        spec.submodule_search_locations = locations
        spec.has_location = True
        spec.cached = directory + "/__pycache__/" + stem + CACHED
        return spec


def serve_once(loader: Loader, modules: dict, name: str, index: Index) -> None:
    """Lets the loader's next get_code() answer from the index; afterwards it is like any other."""

    def get_code(fullname: str) -> object:
        try:
            del loader.get_code
        except AttributeError:  # another thread was faster
            pass
        place = modules.pop(name, None)  # a second import (reload) reads the file
        if place is not None and fullname == loader.name:
            data = index.read(place[0] + PYC_HEADER, place[1] - PYC_HEADER)
            if data is not None:
                code = marshal.loads(data)
                _imp._fix_co_filename(code, loader.path)  # type: ignore[attr-defined]
                return code
        return loader.get_code(fullname)

    loader.get_code = get_code  # type: ignore[assignment, method-assign]


def install() -> None:
    """Puts the finders into place, for this interpreter; nothing where the index does not fit."""
    if (
        sys.flags.optimize
        or sys.flags.verbose
        or _imp.check_hash_based_pycs == "always"
        or posix.environ.get(b"HAFT_INDEX") == b"0"
    ):
        return
    path = HERE + "/" + NAME
    try:
        data = read_part(path, 0, TABLE)
        if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : 12] != external.MAGIC_NUMBER:
            return
        table_size = int.from_bytes(data[12:HEADER], "little")
        if table_size > len(data) - HEADER:
            data = read_part(path, 0, HEADER + table_size)
        table = marshal.loads(memoryview(data)[HEADER : HEADER + table_size])
        loaders = external._get_supported_file_loaders()  # type: ignore[attr-defined]
    except (OSError, ValueError, EOFError, TypeError, AttributeError):
        return
    index = Index(path, HEADER + table_size, data)
    prefix = HERE.rpartition("/")[0].rpartition("/")[0] + "/"

    def haft_index_hook(directory: str) -> IndexFinder:
        if directory.startswith(prefix):
            modules = table.get(directory[len(prefix) :])
            if modules is not None:
                return IndexFinder(directory, modules, index, *loaders)
        raise ImportError("only the directories of the import index are supported", path=directory)

    sys.path_hooks.insert(0, haft_index_hook)
    for directory in list(sys.path_importer_cache):
        if directory.startswith(prefix) and directory[len(prefix) :] in table:
            del sys.path_importer_cache[directory]
