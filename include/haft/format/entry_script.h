// The scripts in an image that call its entries, and are __main__ then.
#pragma once

#include <string>
#include <string_view>

#include "haft/format/manifest.h"

namespace haft::format {

// What calls an entry that has no script: one that the user names for a start.
inline constexpr std::string_view kEntryScript = ".haft/py/_haft_entry.py";

// The script of a kFunction entry of the manifest: below "bin" of console scripts where the
// packages are in kSitePackages, else below ".haft/bin". "" of other entries, and of one whose name
// is not that of a file.
std::string ScriptOf(const Manifest& manifest, const Entry& entry);

}  // namespace haft::format
