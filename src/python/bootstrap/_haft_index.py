"""Serves modules from two files, the import index, as if they came from files of their own.

The index (docs/format.md) holds the .pyc files of the image: one file those of the start in the
order of import, the other one all others. Reading it costs a few requests, reading them one by one
several for each. It is used through sys.path_hooks: a finder for every directory that has modules
in it. So sys.path alone decides what is imported, as always; what the index does not hold, the
finder looks for in its directory. Modules get the loader, spec and attributes they would have got.

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
NAMES = "modules.index", "modules.rest"
MAGIC = b"haftmod2"
HEADER = 20
PYC_HEADER = 16
PAGE = 4096
FIRST = 32 << 10  # read at first; few lists and tables are larger
WINDOW = 96 << 10  # below what malloc takes from the kernel, and gives back, every time

ModuleSpec = _frozen_importlib.ModuleSpec
Loader = external.SourceFileLoader
CACHED = f".{sys.implementation.cache_tag}.pyc"
_plain_get_code = Loader.get_code


class IndexFile:
    """One of the two. No descriptor is kept; the part read last is, since modules are imported in
    about its order."""

    def __init__(self, path: str) -> None:
        """OSError or ValueError: there is none that this Python can use."""
        data = read_part(path, 0, FIRST)
        if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : 12] != external.MAGIC_NUMBER:
            raise ValueError
        list_size = int.from_bytes(data[12:16], "little")
        tables_size = int.from_bytes(data[16:HEADER], "little")
        self.path = path
        self.tables = HEADER + list_size  # where they begin
        self.modules = self.tables + tables_size
        if self.tables > len(data):
            data = read_part(path, 0, self.tables)
        self.directories = data[HEADER : self.tables]
        self.window = 0, data  # (offset, bytes)

    def table(self, directory: bytes) -> "dict | None":
        """The modules of a directory, None if its table is not here."""
        name = b"\n" + directory + b"\0"
        at = self.directories.find(name)
        if at < 0:
            return None
        at += len(name)
        numbers = self.directories[at : self.directories.index(b"\n", at)].split()
        data = self.read(self.tables + int(numbers[0]), int(numbers[1]))
        return None if data is None else marshal.loads(data)

    def read(self, offset: int, size: int) -> "memoryview | None":
        """A view of bytes of the file, or None if it cannot be read."""
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


class Index:
    """Both files. The second one is opened for a directory that the first one does not know, or for
    a module that is not one of the start."""

    def __init__(self, directory: str) -> None:
        """OSError or ValueError: there is none that this Python can use."""
        self.directory = directory
        self.files: list[IndexFile | None] = [IndexFile(directory + "/" + NAMES[0])]
        self.tables: dict = {}  # by directory

    def table(self, directory: str) -> "dict | None":
        """The modules of a directory by name: number of the file, offset, size, is it a package."""
        if directory not in self.tables:
            name = directory.encode("utf-8", "surrogateescape")
            self.tables[directory] = None
            for number in range(len(NAMES)):
                file = self.file(number)
                table = file and file.table(name)
                if table is not None:
                    self.tables[directory] = table
                    break
        return self.tables[directory]

    def file(self, number: int) -> "IndexFile | None":
        if number == len(self.files):
            try:
                self.files.append(IndexFile(self.directory + "/" + NAMES[number]))
            except (OSError, ValueError):
                self.files.append(None)
        return self.files[number]

    def read(self, place: tuple) -> "memoryview | None":
        """The code of a module, as marshal wrote it."""
        number, offset, size, _ = place
        file = self.file(number)
        if file is None:
            return None
        return file.read(file.modules + offset + PYC_HEADER, size - PYC_HEADER)


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
        is_package = place[3]
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
            data = index.read(place)
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
    try:
        index = Index(HERE)
        loaders = external._get_supported_file_loaders()  # type: ignore[attr-defined]
    except (OSError, ValueError, EOFError, TypeError, AttributeError):
        return
    prefix = HERE.rpartition("/")[0].rpartition("/")[0] + "/"

    def haft_index_hook(directory: str) -> IndexFinder:
        if directory.startswith(prefix):
            modules = index.table(directory[len(prefix) :])
            if modules is not None:
                return IndexFinder(directory, modules, index, *loaders)
        raise ImportError("only the directories of the import index are supported", path=directory)

    sys.path_hooks.insert(0, haft_index_hook)
    for directory in list(sys.path_importer_cache):
        if directory.startswith(prefix) and index.table(directory[len(prefix) :]) is not None:
            del sys.path_importer_cache[directory]
