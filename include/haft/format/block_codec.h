// One block's bytes: encoding at build, decoding at run. The only place that knows lz4 and zstd.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/layout.h"

namespace haft::format {

struct EncodedBlock {
  Codec codec;
  std::vector<std::byte> stored;
};

// How much time zstd may take for a smaller block.
enum class Effort { kQuick, kThorough };

// Compresses with lz4hc or zstd; stored instead if that saves less than 5 %. Same bytes in, same
// bytes out (for one version of the library). REQUIRES: 1 <= raw.size() <= kMaxBlockSize.
EncodedBlock EncodeBlock(std::span<const std::byte> raw, Codec codec,
                         Effort effort = Effort::kQuick);

// Checks the digest, then decodes exactly block.raw_size bytes into `out`. Never writes outside
// `out`, whatever the bytes. REQUIRES: out.size() == block.raw_size.
// For Codec::kStored `stored` may be `out` itself: then only the digest is checked.
Result<> DecodeBlock(const Block& block, std::span<const std::byte> stored,
                     std::span<std::byte> out);

}  // namespace haft::format
