#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// Options of the interpreter for a bundle's manifest.
struct PythonFlags {
  std::vector<std::string>
      arguments;  // one option each, "-X" and "-W" with their value in one word
  // -E and -I: with them Python would ignore PYTHONPATH, which is how it finds the bundle. The
  // launch drops the user's PYTHON* variables instead; of -I the rest is -s.
  bool ignore_environment = false;
};

// Words as in "-sE", "-O", "-X dev", "-Wignore". kUsage for those that are no options of Python,
// those that say what Python runs (-c, -m, -), and -S, without which a bundle cannot start.
Result<PythonFlags> ParsePythonFlags(const std::vector<std::string>& words);

// The same for the words of another archive's "#!" line: nothing is refused, and what is kept stays
// as it is written.
PythonFlags KeepPythonFlags(const std::vector<std::string>& words);

}  // namespace haft
