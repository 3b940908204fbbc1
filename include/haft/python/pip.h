// Packages that pip fetches for a build.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/python/python_interpreter.h"
#include "haft/tree/work_tree.h"

namespace haft {

// kUsage for what would install somewhere else than into the bundle: -t/--target, -e/--editable,
// -d/--download, --user,
// --prefix, --root.
Result<> CheckPipArguments(const std::vector<std::string>& arguments);

// The packages of one `PYTHON -m pip install --target DIRECTORY ARGUMENTS...`, in a work directory
// (with pip's own temporary files) that goes with this object.
class PipInstall {
 public:
  // pip's output goes to ours; it dies with this process. Fails if pip does. Afterwards the
  // directory holds what depends on the arguments and the packages alone: direct_url.json, which
  // names where a package was built from, is gone. REQUIRES: this process has one thread.
  static Result<PipInstall> Run(const PythonInterpreter& python,
                                const std::vector<std::string>& arguments);

  std::string directory() const { return work_.path() + "/target"; }

 private:
  explicit PipInstall(WorkDirectory work) : work_(std::move(work)) {}

  WorkDirectory work_;
};

// RECORD of a distribution without the line of `file`.
std::string WithoutRecord(std::string_view record, std::string_view file);

}  // namespace haft
