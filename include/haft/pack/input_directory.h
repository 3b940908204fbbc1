#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/pack/tree.h"

namespace haft {

// Adds the tree below the directory `path` to `tree` at `where`; `path` itself may be a symbolic
// link, those inside are added as links. Reads names and attributes, contents only where two inputs
// meet. Returns the number of files. Anything but files, directories and links is an error that
// names it. `progress` gets the number of files so far.
Result<std::uint64_t> AddInputDirectory(const std::string& path, std::string_view where, Tree& tree,
                                        const std::function<void(std::uint64_t)>& progress = {});

}  // namespace haft
