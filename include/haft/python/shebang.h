// "#!" lines: which program they name, and with which options.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// What a "#!" line says. env(1) is not the program: what it runs is.
struct Shebang {
  std::string program;  // a path, or a name to be found in PATH; "" if none is named
  std::vector<std::string> arguments;
  std::vector<std::string> env_arguments;  // options of env(1) but -S, and variables that it sets
};

// Of a line with or without "#!".
Shebang ParseShebang(std::string_view line);

// The "#!" line at the front of a file, without "#!" and trimmed; "" if there is none.
std::string ShebangOf(int fd);

// "#!/usr/bin/env -S python3 -s", "#!/opt/x/bin/pypy3": whether a file that begins so is Python's.
// Also with the two lines for sh that installers write where the path is long or has a space.
bool NamesPython(std::string_view text);

// The Python that a line asks for.
struct WantedPython {
  std::string program;  // a path, or a name to be found in PATH; "": the line is none of Python's
  std::vector<std::string> arguments;  // but those that would make it ignore PYTHONPATH, -E and -I
  bool ignore_environment = false;     // it had such
};
WantedPython PythonOf(std::string_view shebang);

// What -p takes.
struct PythonRequest {
  std::string interpreter;  // path or name
  std::vector<std::string> flags;
};

// An interpreter, or the text of a "#!" line: "/usr/bin/env python3", "/usr/bin/python3 -sE",
// "/usr/bin/env -S python3 -s". A text that is the path of a file is an interpreter, whatever
// spaces it has.
Result<PythonRequest> ParsePythonRequest(std::string_view text);

}  // namespace haft
