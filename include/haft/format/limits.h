// What an image may ask of who reads it, beyond the fields of layout.h; docs/format.md explains the
// figures. A reader refuses more, so a writer must not make it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "haft/format/layout.h"

namespace haft::format {

inline constexpr std::uint64_t kMaxIndexSize = std::uint64_t{4} << 30;
// A name and a target of every inode, none of them shared.
inline constexpr std::uint64_t kMaxStringsPerInode = kMaxNameSize + kMaxTargetSize + 1;
inline constexpr std::uint64_t kMaxProfileSize = 8u << 20;
inline constexpr std::uint64_t kMaxStackContentsSize = 4u << 20;
// Objects and arrays inside each other, in any JSON of an image.
inline constexpr int kMaxJsonDepth = 8;
// Bytes that a stored byte may decode to.
inline constexpr std::uint32_t kMaxBlockRatio = 1024;

// What a read costs, for each MiB of it that is begun.
inline constexpr std::uint64_t kReadUnit = 1u << 20;
inline constexpr std::uint32_t kMaxReadExtents = 512;
inline constexpr std::uint64_t kMaxReadDecoded = 8u << 20;

// Checks that no read of a file costs more than it may. Linear in the number of extents, memory for
// kMaxReadExtents of them.
class ReadCost {
 public:
  // `raw_size` of a block, by its number; `block_size` of the image.
  ReadCost(std::function<std::uint32_t(std::uint32_t)> raw_size, std::uint32_t block_size)
      : raw_size_(std::move(raw_size)), block_size_(block_size) {}

  // Another file begins.
  void Reset();
  // REQUIRES: called for the extents of a file, in order. False: a read that needs this extent, and
  // some before it, costs too much.
  bool Add(const Extent& extent);

 private:
  struct Window {
    std::uint64_t end;  // of the extent, in the file
    std::uint32_t first_block, last_block;
  };
  void Enter(std::uint32_t block);
  void Leave(std::uint32_t block);

  std::function<std::uint32_t(std::uint32_t)> raw_size_;
  std::uint32_t block_size_;
  std::deque<Window> window_;  // extents that one read can need together
  struct Use {
    std::uint32_t raw_size = 0, users = 0;
  };
  std::unordered_map<std::uint32_t, Use> blocks_;  // first and last ones of these
  std::uint64_t decoded_ = 0;                      // bytes of `blocks_`
};

}  // namespace haft::format
