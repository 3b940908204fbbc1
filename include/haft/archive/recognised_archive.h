#pragma once

#include <memory>
#include <string>

#include "haft/archive/archive_kind.h"
#include "haft/archive/archive_tree.h"
#include "haft/base/error.h"
#include "haft/python/shebang.h"

namespace haft {

// Everything that has to be known of an archive to run or convert it.
struct RecognisedArchive {
  ArchiveTree tree;  // wheels inside it are directories
  ArchiveInfo info;  // with name, mount and builder; see ManifestFor()
  std::string shebang;
  WantedPython python;
};
Result<RecognisedArchive> RecogniseArchive(std::shared_ptr<ZipArchive> archive);

// kUnsupported for an archive with an obstacle: "a pex file: it needs other pex files".
Result<> CheckRunnable(const ArchiveInfo& info);

}  // namespace haft
