#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "haft/archive/inner_wheels.h"
#include "haft/archive/zip_archive.h"
#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"

namespace haft {

// The files of an archive as a tree whose contents are read from the archive.
struct ArchiveTree {
  std::shared_ptr<ZipArchive> archive;
  std::unique_ptr<Tree> files;
  std::vector<InnerArchive> wheels;  // those that are directories of `files`
};

// The entries as they are.
Result<ArchiveTree> ReadArchiveTree(std::shared_ptr<ZipArchive> archive);

// "app-1.0.pyz" of "/srv/app-1.0.pyz": a bundle's name (format::IsBundleName) made from a file's.
std::string BundleNameFor(std::string_view path);

// The manifest of an archive of which nothing but its path is looked at: name, mount, builder.
format::Manifest ManifestFor(const ZipArchive& archive);

}  // namespace haft
