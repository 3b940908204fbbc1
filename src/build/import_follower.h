// What functions will import: found from the compiled modules of a start, without running them.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/python/python_interpreter.h"
#include "haft/tree/tree.h"

namespace haft {

// The .pyc files that the functions of the modules in `start` (.pyc files as well, in the order of
// import) would import, with what these import, nearest first, in about the order of a start; none
// of `start` itself. At most 8 MiB of them. `paths` are the directories of sys.path in the tree.
Result<std::vector<std::string>> FollowImports(const Tree& tree, const PythonInterpreter& python,
                                               const std::vector<std::string>& paths,
                                               const std::vector<std::string>& start);

}  // namespace haft
