// The import index: the compiled modules of a start in one file, so that a start reads one file
// instead of hundreds. docs/format.md describes it; _haft_index.py serves modules from it.
#pragma once

#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/profile.h"
#include "haft/python/bootstrap.h"
#include "haft/tree/tree.h"
#include "haft/writer/content_plan.h"

namespace haft {

// Adds format::kImportIndexPath to the tree, holding every module of `profile` that can be served
// from it without a difference: compiled with an unchecked hash, and not hidden by an extension
// module or a package of the same name. Returns the .pyc files it holds, as parts of it, so that no
// byte is stored twice; nothing is added if there are none.
Result<std::vector<ContentPart>> AddImportIndex(Tree& tree, const format::Profile& profile,
                                                std::string_view python_tag);

}  // namespace haft
