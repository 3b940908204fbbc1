#pragma once

#include <memory>
#include <string>
#include <vector>

#include "haft/archive/zip_archive.h"
#include "haft/base/error.h"
#include "haft/tree/tree.h"

namespace haft {

// An archive that is an entry of another.
struct InnerArchive {
  std::string directory;  // path of that entry
  std::shared_ptr<ZipArchive> archive;
};

// A pex may hold its distributions as wheels, which it unpacks when it is started. Here each such
// file .deps/NAME.whl of `tree` becomes a directory with the entries of the wheel. Decoded copies
// of the wheels are kept in memory (memfd); beyond kMostInnerBytes of them the rest stay files.
// `path` is that of the archive, for messages.
inline constexpr std::uint64_t kMostInnerBytes = 512u << 20;
Result<std::vector<InnerArchive>> ExpandInnerWheels(Tree& tree, const std::string& path);

// easy_install leaves a distribution as the zip NAME.egg in site-packages, which Python imports
// from. Each such file directly below `directory` becomes a directory of that name, which to Python
// is the same. A file that is no zip, or too large, stays.
Result<> ExpandEggs(Tree& tree, std::string_view directory);

}  // namespace haft
