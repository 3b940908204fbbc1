"""Follows the import statements of compiled modules for `haft build`; runs in the interpreter the
bundle is for. Nothing of the modules is run.

Descriptor 3 is a socket. haft sends the names of the modules a start imports: their length (4
bytes), then a line for each. This program asks for modules: the length of a name (4), the name. The
answer: a kind (1 byte: 0 no such module, 1 module, 2 package), a length (4), and as many bytes: the
code as marshal wrote it. Little-endian.

First it asks for the modules of the start. Then it looks for what their functions would import, and
asks for each such module before those that it imports itself, as a start would; then for what the
functions of these would import, and so on. So the order of its questions is about the order in
which programs will need the modules.
"""

import sys

if sys.path and sys.path[0] == "":  # the current directory; nothing must be imported from it
    del sys.path[0]

import marshal
import opcode
import posix

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

CHANNEL = 3
OPTIMIZED = 1  # of co_flags: the body of a function, which does not run when it is defined
IMPORT_NAME = opcode.opmap["IMPORT_NAME"]
EXTENDED_ARG = opcode.opmap["EXTENDED_ARG"]
LOAD_CONST = opcode.opmap["LOAD_CONST"]
LOAD_SMALL_INT = opcode.opmap.get("LOAD_SMALL_INT")  # since 3.14
PACKAGE = 2


def read_exactly(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = posix.read(CHANNEL, size - len(data))
        if not part:
            raise SystemExit
        data += part
    return bytes(data)


def read_text() -> bytes:
    return read_exactly(int.from_bytes(read_exactly(4), "little"))


def ask(name: str) -> "tuple[bool, types.CodeType] | None":
    """Whether it is a package, and its code; None if there is no such module."""
    question = name.encode("utf-8", "surrogateescape")
    question = len(question).to_bytes(4, "little") + question
    while question:
        question = question[posix.write(CHANNEL, question) :]
    kind = read_exactly(1)[0]
    data = read_text()
    try:
        return (kind == PACKAGE, marshal.loads(data)) if kind else None
    except (ValueError, EOFError, TypeError):  # of another Python
        return None


def argument(code: bytes, at: int) -> "tuple[int, int]":
    """That of the instruction at `at`, and where the instruction begins."""
    value, shift = code[at + 1], 8
    while at >= 2 and code[at - 2] == EXTENDED_ARG:
        at -= 2
        value |= code[at + 1] << shift
        shift += 8
    return value, at


def imports_in(code: "types.CodeType") -> "Iterator[tuple[int, tuple, str]]":
    """Of each import statement, in order: the dots of a relative one, what it takes from the
    module, the module's name. The compiler puts the first two right before it, as constants."""
    text = code.co_code
    at = text.find(IMPORT_NAME)
    while at >= 0:
        if at % 2 == 0:
            name, begin = argument(text, at)
            taken, begin = constant_before(code, begin)
            level, begin = constant_before(code, begin)
            if isinstance(level, int) and isinstance(taken, (tuple, type(None))):
                yield level, taken or (), code.co_names[name]
        at = text.find(IMPORT_NAME, at + 1)


def constant_before(code: "types.CodeType", at: int) -> "tuple[object, int]":
    """The constant that the instruction before `at` loads, and where that begins."""
    if at < 2:
        return NotImplemented, 0
    value, begin = argument(code.co_code, at - 2)
    kind = code.co_code[at - 2]
    if kind == LOAD_CONST:
        return code.co_consts[value], begin
    return (value if kind == LOAD_SMALL_INT else NotImplemented), begin


def parts_of(code: "types.CodeType") -> "Iterator[types.CodeType]":
    return (constant for constant in code.co_consts if hasattr(constant, "co_code"))


def own_imports(code: "types.CodeType") -> "Iterator[tuple[int, tuple, str]]":
    """Those that happen when it is run: its own and those of its classes."""
    yield from imports_in(code)
    for part in parts_of(code):
        if not part.co_flags & OPTIMIZED:
            yield from own_imports(part)


def later_imports(code: "types.CodeType") -> "Iterator[tuple[int, tuple, str]]":
    """Those of its functions, and of the functions in them."""
    for part in parts_of(code):
        if part.co_flags & OPTIMIZED:
            yield from imports_in(part)
        yield from later_imports(part)


class Follower:
    def __init__(self) -> None:
        self.known: dict = {}  # by name, what ask() answered

    def place(self, name: str) -> bool:
        """Whether it is a module that was not asked for before."""
        if name in self.known:
            return False
        self.known[name] = ask(name)
        return self.known[name] is not None

    def targets(self, name: str, statement: "tuple[int, tuple, str]") -> "Iterator[str]":
        """The modules that a statement of module `name` may import, in order."""
        level, taken, target = statement
        if level:
            words = name.split(".")
            above = level - 1 if self.known[name][0] else level
            if above >= len(words) + 1:
                return
            base = words[: len(words) - above] + (target.split(".") if target else [])
        else:
            base = target.split(".")
        for count in range(1, len(base) + 1):
            yield ".".join(base[:count])
        for word in taken:
            if word != "*":
                yield ".".join([*base, word])

    def follow(self, name: str, statements: "Iterator[tuple[int, tuple, str]]") -> "list[str]":
        """Asks for what these statements of module `name` import, depth first; returns its
        names."""
        found = []
        open_modules = [self.all_targets(name, statements)]
        while open_modules:
            target = next(open_modules[-1], None)
            if target is None:
                open_modules.pop()
            elif self.place(target):
                found.append(target)
                own = own_imports(self.known[target][1])
                open_modules.append(self.all_targets(target, own))
        return found

    def all_targets(
        self, name: str, statements: "Iterator[tuple[int, tuple, str]]"
    ) -> "Iterator[str]":
        for statement in statements:
            yield from self.targets(name, statement)


def main() -> None:
    follower = Follower()
    names = read_text().decode("utf-8", "surrogateescape").splitlines()
    round_names = [name for name in names if follower.place(name)]
    while round_names:
        found: list[str] = []
        for name in round_names:
            found += follower.follow(name, later_imports(follower.known[name][1]))
        round_names = found


main()
