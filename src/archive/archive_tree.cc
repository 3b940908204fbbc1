#include "haft/archive/archive_tree.h"

#include <fmt/format.h>

#include <utility>

#include "haft/base/path.h"
#include "haft/format/digest.h"
#include "haft/format/image_paths.h"

namespace haft {

Result<ArchiveTree> ReadArchiveTree(std::shared_ptr<ZipArchive> archive) {
  ArchiveTree tree{.archive = std::move(archive), .files = std::make_unique<Tree>(), .wheels = {}};
  TRY(AddArchive(tree.archive, *tree.files));
  return tree;
}

std::string BundleNameFor(std::string_view path) {
  constexpr std::size_t kLongest = 64;
  std::string name;
  for (char c : BaseName(path)) {
    bool possible = format::IsBundleName(std::string("x") + c);
    name += possible ? c : '-';
  }
  name.erase(0, std::min(name.find_first_not_of(".-"), name.size()));
  name.resize(std::min(name.size(), kLongest));
  return name.empty() ? "archive" : name;
}

format::Manifest ManifestFor(const ZipArchive& archive) {
  format::Manifest manifest;
  manifest.name = BundleNameFor(archive.path());
  manifest.mount = JoinPath(format::kMountParent, manifest.name);
  // The digest makes image ids differ where names, sizes or CRCs do: an image id covers the
  // manifest.
  manifest.builder = fmt::format("haft {}, from a zip directory {}", HAFT_VERSION,
                                 format::ToHex(archive.directory().digest));
  return manifest;
}

}  // namespace haft
