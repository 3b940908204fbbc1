// Who installs packages for an interpreter.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "haft/python/python_interpreter.h"

namespace haft {

struct Installer {
  std::string program;
  // Up to "install" and its option that compiles nothing.
  std::vector<std::string> arguments;
};

// The pip of the interpreter itself; else that of another Python in PATH, or uv, told to install
// for this one: environments of uv have no pip. nullopt: there is none.
std::optional<Installer> FindInstaller(const PythonInterpreter& python);

}  // namespace haft
