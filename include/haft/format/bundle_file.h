// Finding an image in a file: the trailer, and what to say when there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "haft/base/error.h"
#include "haft/format/layout.h"
#include "haft/format/manifest.h"

namespace haft::format {

// Where an image lies in its file. Every range in the trailer has been checked against image_size,
// and the trailer against its root: whatever is checked against a digest in it is what that root
// names.
struct BundleFile {
  Trailer trailer;
  std::uint64_t image_offset;  // bytes from the start of the file

  // Bytes of the index: the tables and the string heap.
  std::uint64_t extents_offset() const;  // these are relative to the start of the index
  std::uint64_t blocks_offset() const;
  std::uint64_t strings_offset() const;
  std::uint64_t index_size() const;
  std::uint64_t chunk_count() const;
  // In the image; the chunk digests come before it.
  std::uint64_t signatures_offset() const;
};

// Reads and checks the trailer of an open file: one read, O(1). nullopt: the file does not end with
// one. Errors: a damaged trailer (kCorrupt), another major version or an unknown feature
// (kUnsupported).
Result<std::optional<BundleFile>> FindImage(int fd);

// Why a file in which FindImage() sees nothing has no image: "not a haft bundle" (kInvalidInput),
// or kCorrupt: "cut off: has N bytes, needs M", surplus bytes, a trailer that cannot be recognised.
Error ExplainMissingTrailer(int fd);

// For a file that has to hold an image: what FindImage() finds, else why there is none.
Result<BundleFile> LocateImage(int fd);

// Reads, checks and parses the manifest.
Result<Manifest> ReadManifest(int fd, const BundleFile& bundle);
// The manifest as written, checked against its digest.
Result<std::string> ReadManifestText(int fd, const BundleFile& bundle);

}  // namespace haft::format
