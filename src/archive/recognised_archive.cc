#include "haft/archive/recognised_archive.h"

#include <fmt/format.h>

#include <utility>

namespace haft {

Result<RecognisedArchive> RecogniseArchive(std::shared_ptr<ZipArchive> archive) {
  RecognisedArchive found{
      .tree = TRY(ReadArchiveTree(std::move(archive))), .info = {}, .shebang = {}, .python = {}};
  const ZipArchive& source = *found.tree.archive;
  found.tree.wheels = TRY(ExpandInnerWheels(*found.tree.files, source.path()));
  found.info = TRY(Recognise(*found.tree.files, source.path()));
  format::Manifest names = ManifestFor(source);
  found.info.manifest.name = std::move(names.name);
  found.info.manifest.mount = std::move(names.mount);
  found.info.manifest.builder = std::move(names.builder);
  found.shebang = ShebangOf(source.fd());
  found.python = PythonOf(found.shebang);
  return found;
}

Result<> CheckRunnable(const ArchiveInfo& info) {
  if (info.obstacle.empty()) return {};
  return Failure(Error(ErrorKind::kUnsupported,
                       fmt::format("a {} file: {}", NameOf(info.kind), info.obstacle)));
}

}  // namespace haft
