// Watching a start of the program that is being packed, to learn which files it needs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/format/profile.h"
#include "haft/python/python_interpreter.h"
#include "haft/tree/tree.h"

namespace haft {

struct ProfileResult {
  format::Profile profile;  // what was recorded, possibly nothing
  std::string problem;      // why it is not all, in one line; empty: it is
};

// Runs the interpreter on what `tree` holds and records the files it opens, in order. Without
// `arguments` the module of the entry is imported (of a module that runs as a program only what it
// imports is imported); with them the program runs with these arguments, for at most ten seconds.
// The child has an environment of its own, this process's working directory, and no standard
// streams; it changes nothing and reaches nobody (see profile_sandbox.h). Nothing that happens in
// it is a failure of this call. REQUIRES: this process has one thread; the tree has
// its bootstrap.
ProfileResult RecordProfile(const Tree& tree, const PythonInterpreter& python,
                            const format::Manifest& manifest,
                            const std::optional<std::vector<std::string>>& arguments);

}  // namespace haft
