#pragma once

#include <cstdint>

namespace haft::format {

// Part of a file, in bytes.
struct ByteRange {
  std::uint64_t offset;
  std::uint64_t size;

  bool operator==(const ByteRange&) const = default;
};

}  // namespace haft::format
