#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/subprocess.h"
#include "haft/format/manifest.h"

namespace haft {

// The interpreter a bundle is built for.
class PythonInterpreter {
 public:
  // Runs it once to learn what it is. `name` is a path, or looked for in PATH if it has no slash;
  // symbolic links stay what they are, because a virtual environment is found through them. Errors
  // name it.
  static Result<PythonInterpreter> Ask(const std::string& name);

  const format::PythonTarget& target() const { return target_; }

  // Whether it can import the module `name` by itself: from the standard library or, if
  // `installed`, the host's packages.
  Result<bool> Finds(const std::string& name, bool installed = true) const;

  // A command that runs `code` in this interpreter so that it behaves the same for everybody: no
  // PYTHON* variables, no user's site-packages, no `site`, hash seed 0. Talks through descriptor 3.
  Command ReproducibleCommand(std::string_view code) const;

  // A command that runs `code` with the user's packages and `site` as a bundle has them, but in the
  // same environment for everybody (the caller adds PYTHONPATH) and in a session of its own.
  Command RecordedCommand(std::string_view code) const;

 private:
  explicit PythonInterpreter(format::PythonTarget target) : target_(std::move(target)) {}

  format::PythonTarget target_;
};

}  // namespace haft
