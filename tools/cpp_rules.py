"""What tools/lint looks for in C++ without a compiler: TRY() inside braces, and long functions."""

import re

_STRING = re.compile(
    r'R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"'  # raw: may hold anything
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"  # not the separator of digits
    r"|//[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_TOKEN = re.compile(r"[A-Za-z_]\w*|[^\s\w]")
_CONTROL = {"if", "for", "while", "switch", "catch", "else", "do", "try"}
_TYPES = {"class", "struct", "union", "enum", "namespace", "extern"}
_AFTER_PARAMETERS = {")", "const", "noexcept", "override", "final", "mutable", "&"}
_VALUE = "0"  # stands for a closed initializer; numbers are no tokens


def code_of(text):
    """The text with comments, strings and preprocessor lines blanked, line by line."""
    text = _STRING.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    return re.sub(
        r"^[ \t]*#(?:.*\\\n)*.*", lambda found: "\n" * found[0].count("\n"), text, flags=re.M
    )


class _Brace:
    """An open brace. `kind`: "function", "block" or "initializer"."""

    def __init__(self, kind, line):
        self.kind = kind
        self.line = line  # of the statement that it belongs to
        self.outer: tuple[list[str], int] = ([], 0)  # the statement around an initializer
        self.depth = 0  # of parentheses and brackets inside
        self.commas = 0  # at depth 0


def _outside(words):
    """The tokens outside of parentheses and brackets, which themselves are kept."""
    found, depth = [], 0
    for word in words:
        depth -= word in ")]"
        if depth <= 0:
            found.append(word)
        depth += word in "(["
    return found


def _assigns(outside):
    """Is there a "=" that belongs neither to an operator's name nor to a default argument?"""
    if "operator" in outside:
        name = outside.index("operator")
        rest = outside[name:]
        outside = outside[:name] + rest[rest.index("(") if "(" in rest else len(rest) :]
    if "<" in outside and outside[0] == "template":
        outside = outside[_end_of_template(outside) :]
    return "=" in outside


def _end_of_template(words):
    """The index after template<...>."""
    depth = 0
    for index, word in enumerate(words):
        depth += (word == "<") - (word == ">")
        if word == ">" and depth == 0:
            return index + 1
    return 0


def _initializes_members(outside):
    """Is it the head of a constructor with a list of members: ") : a_{1}, b_(2)"?"""
    for index, word in enumerate(outside[:-1]):
        if word == ":" and outside[index + 1] != ":" and outside[index - 1] != ":":
            return outside[index - 1] in {")", "noexcept"} and "?" not in outside
    return False


def _kind(statement):
    """What a brace after the tokens of `statement`, which begin at the last ; or brace, opens."""
    words = [token for token in statement if token != "inline"]
    if not words:
        return "block"
    last = words[-1]
    outside = _outside(words)
    if _TYPES & set(words) and "(" not in words and not _assigns(outside):
        return "block"
    if words[0] in _CONTROL or last in _CONTROL:
        return "block" if last == ")" or last in _CONTROL else "initializer"
    if last in _AFTER_PARAMETERS or ("->" in "".join(words[-8:]) and last != "return"):
        inside = words.count("(") > words.count(")")
        return "block" if _assigns(outside) or "return" in words or inside else "function"
    if last == "]" and not (len(words) > 1 and words[-2] == "["):
        return "block"  # a lambda without parameters
    if last == _VALUE and _initializes_members(outside):
        return "function"
    return "block" if last in {":", "{", "}", ";"} else "initializer"


def _braces(text):
    """Yields (event, line, open braces): "try" for a TRY, "close" for the end of the last one."""
    stack: list[_Brace] = []
    statement: list[str] = []
    began = 0
    line, at = 1, 0
    code = code_of(text)
    for found in _TOKEN.finditer(code):
        token = found[0]
        line += code.count("\n", at, found.start())
        at = found.start()
        if not statement:
            began = line
        if token == "{":
            stack.append(_Brace(_kind(statement), began))
            stack[-1].outer = statement, began
            statement = []
        elif token == "}":
            if not stack:
                return  # cut by the preprocessor
            yield "close", line, stack
            top = stack.pop()
            # After an initializer its statement goes on.
            statement, began = (
                ([*top.outer[0], _VALUE], top.outer[1]) if top.kind == "initializer" else ([], 0)
            )
        elif token == ";" and not (stack and stack[-1].depth):
            statement = []
        else:
            statement.append(token)
            if re.fullmatch(r"TRY(_\w+)?", token):
                yield "try", line, stack
            if stack:
                stack[-1].depth += (token in "([") - (token in ")]")
                stack[-1].commas += token == "," and stack[-1].depth == 0


def try_in_braces(text):
    """Yields the lines of TRY()s that are not in the first member of a braced initializer."""
    for event, line, stack in _braces(text):
        if event != "try":
            continue
        for brace in reversed(stack):
            if brace.kind != "initializer":
                break
            if brace.commas:
                yield line
                break


def functions(text):
    """Yields (first line, last line) of every function that has a body."""
    for event, line, stack in _braces(text):
        if event == "close" and stack[-1].kind == "function":
            yield stack[-1].line, line
