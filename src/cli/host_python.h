#pragma once

#include <string>
#include <string_view>

#include "haft/launch/environment.h"

namespace haft::cli {

// The interpreter `wanted`, a path or a name to be found in PATH, if this host has it; else "".
std::string FindPython(std::string_view wanted, const Environment& environment);

// The same, else /usr/bin/python3, else python3 of PATH; /usr/bin/python3 if there is none of them.
std::string FindPythonOrUsual(std::string_view wanted, const Environment& environment);

}  // namespace haft::cli
