"""Records which files of a tree a start opens, for `haft build`; runs in the interpreter the bundle
is for, with -S.

Arguments: the tree's root, the file to write, what to do and with what, the
bundle's name, and the program's arguments. Writes a line for every file when it is first opened,
and for every directory, with "/" behind it, when it is first listed; for every file that was looked
for in vain; first a line "//prefix PATH/" and for every file of the host that Python itself reads,
a line "//host PATH", relative to that prefix of the interpreter or below /usr, and for what is
mapped when Python or an extension module has been loaded a line "//mapped PATH"; in the end a line
"//OFFSET SIZE PATH" for every part of a library or program that is mapped ("//0 0 PATH" if the
parts would differ from run to run). The last two have the path as the kernel says it: the tree
consists of links. The bundle's own start is followed: sitecustomize is what `site` imports.
"""

import sys

if sys.path and sys.path[0] == "":  # the current directory; nothing must be imported from it
    del sys.path[0]

import posix

PAGE = posix.sysconf("SC_PAGE_SIZE")
PIECE = max(16 << 10, PAGE)  # smaller holes are not worth a request of their own
ADDR_NO_RANDOMIZE = 0x0040000  # of personality(2)
WRITES = posix.O_CREAT | posix.O_WRONLY | posix.O_RDWR
watching = True  # False: what is read is no part of a start


def open_of_kernel(path):
    try:
        return posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return -1


def read_all(descriptor):
    """Not by seeking: a program that closes all descriptors may have one of its own with this
    number meanwhile."""
    data = b""
    try:
        while True:
            more = posix.pread(descriptor, 1 << 16, len(data))
            if not more:
                return data
            data += more
    except OSError:
        return data


# Long: what it knows is hidden in a closure from the program that runs in the same interpreter.
def make_recorder(root, record):
    output = posix.open(
        record, posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC, 0o600
    )
    process = posix.getpid()
    # Now, before anybody can see it: the program may watch what is opened. Each read tells of that
    # moment.
    maps, pagemap, personality = (
        open_of_kernel("/proc/self/" + name) for name in ("maps", "pagemap", "personality")
    )
    prefix = root + "/"
    host = sys.base_prefix.rstrip("/") + "/"
    seen = set()

    def note(path, ending):
        path = as_text(path)
        if not watching or not isinstance(path, str):
            return
        if path.startswith(prefix):
            tell(path[len(prefix) :].rstrip("/") + ending)
        elif not ending:
            note_host(path)

    def as_text(path):
        return path.decode("utf-8", "surrogateescape") if isinstance(path, bytes) else path

    def note_open(path, flags):
        if isinstance(flags, int) and flags & WRITES and not exists(path):
            path = as_text(path)
            if isinstance(path, str) and path.startswith(prefix):
                seen.add(
                    path[len(prefix) :]
                )  # the program makes it: it was and will be looked for by nobody else
        else:
            note(path, "")

    def exists(path):
        try:
            posix.stat(path)
        except OSError:
            return False
        return True

    def note_host(path):
        """The standard library, the system's libraries and data; no packages of the host's, which
        differ from host to host."""
        if "/site-packages/" in path or "/dist-packages/" in path:
            return
        if path.startswith(host) and path[len(host) :].startswith(("lib", "bin/", "share/")):
            tell("//host " + path[len(host) :])
        elif path.startswith(("/usr/lib", "/usr/share/")):
            tell("//host " + path)

    def tell(line):
        if line not in seen and "\n" not in line and posix.getpid() == process:
            seen.add(line)
            posix.write(output, (line + "\n").encode("utf-8", "surrogateescape"))

    def hook(event, arguments):
        try:
            if event == "open":
                note_open(arguments[0], arguments[2])
            elif event == "import":
                if arguments[1] is not None:  # the file, of extension modules
                    note_mapped(mappings())  # what the one before brought
                note(arguments[1], "")
            elif event in {"os.listdir", "os.scandir"}:
                note(arguments[0], "/")
            elif event == "ctypes.dlopen":
                note(arguments[0], "")
        except Exception:  # whatever is odd about a path, the program must not notice
            pass

    def mappings():
        """The fields and the path of the lines of /proc/self/maps that name a file; none without
        /proc, and in children."""
        if posix.getpid() != process:
            return []
        lines = read_all(maps).decode("utf-8", "surrogateescape").splitlines()
        parts = [line.partition("/") for line in lines]
        return [(head.split(), slash + rest) for head, slash, rest in parts if slash]

    def note_mappings():
        """Which files are in this process, and which parts of the libraries among them."""
        lines = mappings()
        note_mapped(lines)
        areas: dict[str, list] = {}
        for fields, path in lines:
            areas.setdefault(path, []).append(fields)
        areas = {path: lines for path, lines in areas.items() if is_code(path, lines)}
        pieces = mapped_pieces(areas) if has_fixed_addresses() else None
        for path in areas:
            parts = (
                [(0, 0)]
                if pieces is None
                else [(piece * PIECE, PIECE) for piece in sorted(pieces[path])]
            )
            for offset, size in parts:
                posix.write(
                    output,
                    f"//{offset} {size} {path}\n".encode("utf-8", "surrogateescape"),
                )

    def is_code(path, lines):
        return ".so" in path.rpartition("/")[2] or any("x" in fields[1] for fields in lines)

    def has_fixed_addresses():
        """The builder asks for them; seccomp may have refused. Which pages are mapped depends on
        the addresses."""
        try:
            return int(read_all(personality), 16) & ADDR_NO_RANDOMIZE != 0
        except ValueError:
            return False

    def mapped_pieces(areas):
        """The pieces of files of which a page is mapped into the process, by path; None if the
        kernel does not tell."""
        try:
            return {path: set().union(*map(pieces_of, lines)) for path, lines in areas.items()}
        except (OSError, ValueError, MemoryError):
            return None

    def pieces_of(fields):
        begin, end = (int(text, 16) // PAGE for text in fields[0].split("-"))
        offset = int(fields[2], 16) // PAGE
        entries = posix.pread(pagemap, (end - begin) * 8, begin * 8)[
            7::8
        ]  # the byte with bit 63, present, and bit 62, swapped out
        found = [offset + page for page, entry in enumerate(entries) if entry & 0xC0]
        if found and "x" in fields[1]:
            found.append(
                offset + end - begin - 1
            )  # .fini, which runs at the exit, lies at the end of the code
        return {page // (PIECE // PAGE) for page in found}

    def note_mapped(lines):
        for _, path in reversed(
            lines
        ):  # about as they were loaded: the kernel fills the address space downwards
            note_host(path)
            tell("//mapped " + path)

    def note_interpreter():
        """What was read before anybody watched."""
        tell("//prefix " + host)
        note_mapped(mappings())
        for module in list(sys.modules.values()):
            note(getattr(module, "__cached__", None), "")

    def watch_stat():
        """Notes what os.stat() does not find (os.path.exists() and its like use it): no audit event
        tells."""
        import os

        plain_stat = os.stat

        def stat(path, *arguments, **options):
            try:
                return plain_stat(path, *arguments, **options)
            except FileNotFoundError:
                try:
                    if as_text(os.fspath(path)).startswith(prefix):
                        note(os.fspath(path), "")
                except Exception:  # an odd path: as in the hook
                    pass
                raise

        os.stat = stat
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if plain_stat in able:
                able.add(stat)

    return hook, note_mappings, note_interpreter, watch_stat


def import_what_it_imports(module):
    """Imports what the statements at the top level of a module import, without running it: it is a
    program."""
    import importlib
    import importlib.util

    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ImportError(f"No module named {module!r}")
    if spec.submodule_search_locations is not None:
        importlib.import_module(module)
        module += ".__main__"
        spec = importlib.util.find_spec(module)
    if spec is None or spec.loader is None:
        return
    spec.loader.get_code(module)  # type: ignore[attr-defined]  # as a start does
    source = source_of_module(spec, module)
    if source is not None:
        follow_imports(source, module.rpartition(".")[0])


def source_of_module(spec, module):
    """None: it has none."""
    if (spec.origin or "").endswith(".py"):
        try:
            return source_of(spec.origin)
        except OSError:
            pass  # in a zip archive
    return unwatched(spec.loader.get_source, module)


def unwatched(function, *arguments):
    """Calls what a start does not do. It must import nothing that a start might: that would go
    unnoticed."""
    global watching
    watching = False
    try:
        return function(*arguments)
    finally:
        watching = True


def source_of(path):
    """The bytes of a Python file."""

    def read():
        with open(path, "rb") as file:
            return file.read()

    return unwatched(read)


def follow_imports(source, package):
    """Imports what `source` imports, with modules that a start of any program has anyway: no `ast`,
    which brings `re`."""
    import _ast
    import importlib

    def attempt(name, package=None):
        try:
            return importlib.import_module(name, package)
        except Exception:
            return None  # optional, or meant for another platform

    def parts(node):
        for field in node._fields:
            value = getattr(node, field, None)
            yield from value if isinstance(value, list) else [value]

    tree = compile(source, "<entry>", "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    statements = list(reversed(tree.body))  # type: ignore[attr-defined]
    while statements:
        statement = statements.pop()
        if isinstance(statement, _ast.Import):
            for alias in statement.names:
                attempt(alias.name)
        elif isinstance(statement, _ast.ImportFrom):
            name = "." * statement.level + (statement.module or "")
            imported = attempt(name, package)
            for alias in statement.names if imported is not None else ():
                if alias.name != "*" and not hasattr(imported, alias.name):
                    attempt(imported.__name__ + "." + alias.name)
        elif not isinstance(statement, (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.ClassDef)):
            statements.extend(
                reversed([part for part in parts(statement) if isinstance(part, _ast.stmt)])
            )


def main():
    root, record, task, target, name = sys.argv[1:6]
    hook, note_mappings, note_interpreter, watch_stat = make_recorder(root, record)
    note_interpreter()
    sys.addaudithook(hook)
    del sys.argv[1:6]
    import site

    site.main()
    watch_stat()
    if task in ("function", "module", "script"):
        import atexit

        atexit.register(note_mappings)
        import _haft

        sys.argv[1:1] = [task, target, name]
        _haft.run_program()
        return
    import _haft

    if task == "import":
        module, _, attributes = target.partition(":")
        __import__(module)
        value = sys.modules[module]
        for attribute in attributes.split(".") if attributes else ():
            value = getattr(value, attribute)  # what a start would call
    elif task == "imports-of":
        import_what_it_imports(target)
    elif task == "imports-of-file":
        follow_imports(source_of(target), "")
    note_mappings()
    posix._exit(0)  # what the modules leave to be done at the end is not wanted


main()
