#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/python/python_interpreter.h"

namespace haft {

// Where the files of an interpreter are on the host.
struct PythonFiles {
  std::string program;              // resolved
  std::string prefix, exec_prefix;  // of the installation, not of a virtual environment
  std::string standard_library, platform_library;
  std::string library;  // name of its shared library: "libpython3.11.so.1.0"
};

// Asks the interpreter.
Result<PythonFiles> FindPythonFiles(const PythonInterpreter& python);

}  // namespace haft
