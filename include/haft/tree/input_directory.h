#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/tree/tree.h"

namespace haft {

struct InputOptions {
  // Every file, directory and link gets the time of what haft generates: for inputs whose times say
  // when they were installed.
  bool fixed_times = false;
  // Names that are left out with all below them, wherever they are.
  std::span<const std::string_view> skipped = {};
};

// Adds the tree below the directory `path` to `tree` at `where`; `path` itself may be a symbolic
// link, those inside are added as links. Reads names and attributes, contents only where two inputs
// meet. Returns the number of files. Anything but files, directories and links is an error that
// names it. `progress` gets the number of files so far.
Result<std::uint64_t> AddInputDirectory(const std::string& path, std::string_view where, Tree& tree,
                                        const std::function<void(std::uint64_t)>& progress = {},
                                        const InputOptions& options = {});

// Adds the regular file `name` (or what a link leads to) at `where`, executable for all who may
// read it.
Result<> AddInputProgram(const std::string& name, std::string_view where, Tree& tree);

}  // namespace haft
