// What can be run by name in a bundle: console scripts and the files of bin/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/entry.h"
#include "haft/tree/tree.h"

namespace haft {

// The file `path` of the tree as an entry. It is Python by its suffix (.py) or if its "#!" line
// names a python; anything else needs its execute bit. The entry has no name yet.
Result<format::Entry> ScriptEntry(const Tree& tree, const std::string& path);

// What a console script or a file of bin/ named `name` runs, in this order. Unknown: the error
// lists the console scripts (see EntryPoints).
Result<format::Entry> FindScript(const Tree& tree, std::string_view directory,
                                 const std::string& name);

// All scripts of the distributions in `directory`, sorted by name. Left out: console scripts that
// two distributions define differently or whose target is none; files of bin/ that are neither
// Python nor executable, or whose name is not UTF-8.
Result<std::vector<format::Entry>> ListScripts(const Tree& tree, std::string_view directory);

}  // namespace haft
