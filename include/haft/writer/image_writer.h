#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "haft/base/error.h"
#include "haft/format/digest.h"
#include "haft/format/layout.h"
#include "haft/format/manifest.h"
#include "haft/tree/tree.h"
#include "haft/writer/byte_sink.h"
#include "haft/writer/content_plan.h"
#include "haft/writer/content_writer.h"

namespace haft {

// What `haft build --compression` chooses.
enum class Compression {
  kAuto,  // lz4 for what a start reads, zstd for the rest
  kLz4,
  kZstd,
  kNone,
};

struct ImageOptions {
  std::uint32_t block_size =
      format::kDefaultBlockSize;  // of blocks that are not zstd's, which have up to 1 MiB
  Compression compression = Compression::kLz4;
  unsigned workers = 0;  // 0: one per CPU. The bytes do not depend on it
  // Of the program in front of the image, for the trailer. Without one: of nothing.
  std::uint64_t runtime_size = 0;
  format::Digest runtime_digest = format::Sha256Of({});
  StartLayout layout;   // may be empty
  std::string profile;  // the profile section; may be empty
  // Bytes of contents written so far, and in all; on the calling thread. May be empty.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

struct ImageSummary {
  format::Digest root;
  std::uint64_t image_size;
  std::uint64_t file_count;
  std::uint64_t content_size;  // of all files, before deduplication and compression
};

// Appends an image of `tree` to `sink`, as docs/format.md describes it. Files are read and
// compressed by several threads; memory holds the tables and a few blocks, never the contents. Same
// tree, same manifest, same block size: same bytes. A failure leaves an unusable beginning in the
// sink.
Result<ImageSummary> WriteImage(const Tree& tree, const format::Manifest& manifest,
                                const ImageOptions& options, ByteSink& sink);

// The same without the blocks: only a reader with a BlockSource of its own can use the image.
// `tables` say which blocks there would be. Of `options` block_size counts.
Result<ImageSummary> WriteImageWithoutBlocks(const Tree& tree, const ContentPlan& plan,
                                             const ContentTables& tables,
                                             const format::Manifest& manifest,
                                             const ImageOptions& options, ByteSink& sink);

}  // namespace haft
