// A zip file behind the reader of native images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "haft/archive/archive_tree.h"
#include "haft/archive/zip_archive.h"
#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/image/image_reader.h"
#include "haft/image/verify.h"

namespace haft {

// A reader of the tree, with this manifest: index, manifest and trailer are made in memory (a
// memfd, nothing on disk), blocks are decoded from the archive when they are read. An entry that
// turns out to be damaged is kCorrupt, and only that one. The reader keeps the archive.
Result<ImageReader> OpenZipImage(ArchiveTree tree, const format::Manifest& manifest,
                                 std::size_t cache_bytes = ImageReader::kDefaultCacheBytes);

// Decodes every entry to its end. The problems are lines as of ZipArchive::Check(). `progress`
// (bytes done, bytes in all, unpacked) may be empty.
VerifyReport VerifyZip(ZipArchive& archive,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace haft
