// What a start will need that the import index does not hold, in the order of need. The program's
// mount asks for it before the program does (haft/server).
#pragma once

#include <string>
#include <vector>

#include "haft/format/profile.h"
#include "haft/tree/tree.h"
#include "haft/writer/content_plan.h"

namespace haft {

// Directories of sys.path first (`paths`, relative to the root), because Python lists them before
// anything else. Then the files of the profile, each behind its directory; of a file that was used
// in part, the parts. In place of the first file that the import index holds (`parts`), the index.
// Then the other directories that were listed, but those whose modules are in the index, and the
// names that were looked for in vain.
std::vector<format::Prefetch> PlanPrefetch(const Tree& tree, const format::Profile& profile,
                                           const std::vector<ContentPart>& parts,
                                           const std::vector<std::string>& paths);

}  // namespace haft
