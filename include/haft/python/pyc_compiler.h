#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/python/python_interpreter.h"
#include "haft/tree/tree.h"

namespace haft {

struct CompileReport {
  std::uint64_t compiled = 0;
  // Sources without .pyc afterwards: path in the tree and the interpreter's reason. Not an error:
  // such files are in many packages, and nobody imports them.
  std::vector<std::string> not_compiled;
};

// Adds DIR/__pycache__/X.TAG.pyc for every regular file DIR/X.py, with an unchecked hash (PEP 552),
// so that it is valid whatever becomes of the times. Replaces what the input has under that name,
// leaves other .pyc files alone. The bytes depend on the sources, their paths and the interpreter
// only.
class PycCompiler {
 public:
  // `mount` is where the tree will be at run time: code objects carry the path of their source.
  // `python` has to outlive the compiler.
  PycCompiler(const PythonInterpreter& python, std::string mount, unsigned workers)
      : python_(python), mount_(std::move(mount)), workers_(workers) {}

  // For the sources below `directories`. `progress` gets the files done and all files, on the
  // calling thread. Generated files are 0644 with the time of their source; a
  // __pycache__ that gets one is 0755 with the latest time of the sources, and its parent keeps its
  // time.
  Result<CompileReport> Compile(
      Tree& tree, const std::vector<std::string>& directories,
      const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {}) const;

 private:
  const PythonInterpreter& python_;
  const std::string mount_;
  const unsigned workers_;
};

}  // namespace haft
