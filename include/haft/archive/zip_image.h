// A zip file behind the reader of native images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "haft/archive/zip_archive.h"
#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/format/manifest.h"
#include "haft/image/image_reader.h"
#include "haft/image/verify.h"
#include "haft/tree/tree.h"

namespace haft {

struct ZipImageOptions {
  std::string name;            // of the bundle; empty: made from the archive's path
  bool expand_wheels = false;  // see ExpandInnerWheels()
  std::size_t cache_bytes = ImageReader::kDefaultCacheBytes;
  // Called with the tree of the archive before it becomes an image; may add what a run needs
  // (AddBootstrap) and complete the manifest, which has no entry and no paths yet. May be empty.
  std::function<Result<>(Tree& tree, format::Manifest& manifest)> prepare;
};

// A reader of the archive's tree: index, manifest and trailer are made in memory (a memfd, nothing
// on disk), blocks are decoded from the archive when they are read. An entry that turns out to be
// damaged is kCorrupt, and only that one. The reader keeps the archive.
Result<ImageReader> OpenZipImage(const std::shared_ptr<ZipArchive>& archive,
                                 const ZipImageOptions& options = {});
Result<ImageReader> OpenZipImage(const std::string& path, const ZipImageOptions& options = {});

// Decodes every entry to its end. The problems are lines as of ZipArchive::Check(). `progress`
// (bytes done, bytes in all, unpacked) may be empty.
VerifyReport VerifyZip(ZipArchive& archive,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress);

// "app-1.0.pyz" of "/srv/app-1.0.pyz": a bundle's name (format::IsBundleName) made from a file's.
std::string BundleNameFor(std::string_view path);

}  // namespace haft
