#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/block_codec.h"
#include "haft/format/layout.h"
#include "haft/writer/byte_sink.h"
#include "haft/writer/content_plan.h"

namespace haft {

// The extents of one content: [first, first + count) of the extent table.
struct ExtentRows {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

// Where the contents of a plan lie in an image: two of its tables.
struct ContentTables {
  std::vector<ExtentRows> rows;  // by ContentId
  std::vector<format::Extent> extents;
  std::vector<format::Block> blocks;
};

// How blocks are made. A start's files and the others differ: the former are wanted at once and
// decoded quickly, the latter are many and wanted rarely.
struct BlockPolicy {
  std::uint32_t block_size =
      format::kDefaultBlockSize;  // of the image, and of blocks no start reads
  std::uint32_t hot_block_size = format::kDefaultBlockSize;  // at most block_size
  // Of a start's file whose parts are files, the import index: it is read from beginning to end. At
  // most block_size; 0: hot_block_size.
  std::uint32_t whole_block_size = 0;
  format::Codec codec = format::Codec::kLz4;
  format::Codec hot_codec = format::Codec::kLz4;
  format::Effort effort = format::Effort::kQuick;
};

// Reads, compresses and appends the contents of `plan`; block offsets count from `image_start`.
// Pieces of a block's size of a larger file that are all zeros become holes, whether the file is
// sparse or not. `progress` gets the bytes done so far, on the calling thread.
Result<ContentTables> WriteContents(const ContentPlan& plan, const BlockPolicy& policy,
                                    unsigned workers, std::uint64_t image_start, ByteSink& sink,
                                    const std::function<void(std::uint64_t done)>& progress);

}  // namespace haft
