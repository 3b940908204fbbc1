#pragma once

#include <cstdint>

#include "haft/base/error.h"
#include "haft/format/limits.h"

namespace haft {

// What a read may still look at and decode: it ends soon, whatever the image says. By
// docs/format.md a file whose reads need more is invalid, and verify says so.
class ReadBudget {
 public:
  // `length` of the read, at least 1.
  explicit ReadBudget(std::uint64_t length) {
    const std::uint64_t units = (length - 1) / format::kReadUnit + 1;
    extents_ = units * format::kMaxReadExtents;
    decoded_ = units * format::kMaxReadDecoded;
  }

  Result<> TakeExtent() { return Take(extents_, 1, "too many extents"); }
  // Before a block of so many bytes is decoded.
  Result<> TakeDecoded(std::uint32_t bytes) {
    return Take(decoded_, bytes, "needs too many other bytes");
  }

 private:
  static Result<> Take(std::uint64_t& left, std::uint32_t amount, const char* why) {
    if (left < amount) return Failure(Error::Corrupt(why));
    left -= amount;
    return {};
  }

  std::uint64_t extents_ = 0;
  std::uint64_t decoded_ = 0;
};

}  // namespace haft
