// The import index: the compiled modules of the image in two files, so that a start reads these
// instead of hundreds. docs/format.md describes it; _haft_index.py serves modules from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/tree/tree.h"
#include "haft/writer/content_plan.h"

namespace haft {

struct ImportIndex {
  // The .pyc files that are in it, so that no byte is stored twice; none if there is no index.
  std::vector<ContentPart> parts;
  // Bytes at the beginning of format::kImportRestPath that a start may well read: 0 if it would
  // have no use for any.
  std::uint64_t next_size = 0;
};

// Adds the index to the tree: format::kImportIndexPath with the modules of `start`, the .pyc files
// that a start imports, in that order; format::kImportRestPath with those of `next`, then all
// others, package by package. It holds every module that can be served from it without a
// difference: compiled with an unchecked hash, and not hidden by an extension module or a package
// of the same name. Other paths in `start` and `next` are ignored.
Result<ImportIndex> AddImportIndex(Tree& tree, const std::vector<std::string>& start,
                                   const std::vector<std::string>& next,
                                   std::string_view python_tag);

}  // namespace haft
