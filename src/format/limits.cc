#include "haft/format/limits.h"

namespace haft::format {

void ReadCost::Reset() {
  window_.clear();
  blocks_.clear();
  decoded_ = 0;
}

void ReadCost::Enter(std::uint32_t block) {
  Use& use = blocks_[block];
  if (use.users++ > 0) return;
  use.raw_size = raw_size_(block);
  decoded_ += use.raw_size;
}

void ReadCost::Leave(std::uint32_t block) {
  auto use = blocks_.find(block);
  if (--use->second.users > 0) return;
  decoded_ -= use->second.raw_size;
  blocks_.erase(use);
}

bool ReadCost::Add(const Extent& extent) {
  // A read of one unit that begins with the last byte of the first ends before this one begins.
  while (!window_.empty() && window_.front().end + kReadUnit < extent.file_offset + 2) {
    if (window_.front().first_block != kHoleBlock) {
      Leave(window_.front().first_block);
      Leave(window_.front().last_block);
    }
    window_.pop_front();
  }
  Window added{.end = extent.file_offset + extent.length,
               .first_block = extent.block,
               .last_block = extent.block};
  if (extent.block != kHoleBlock) {
    added.last_block +=
        static_cast<std::uint32_t>((extent.block_offset + extent.length - 1) / block_size_);
    Enter(added.first_block);
    Enter(added.last_block);
  }
  window_.push_back(added);
  // Blocks inside a run are needed whole: they are as many bytes as are read.
  return window_.size() <= kMaxReadExtents && decoded_ <= kMaxReadDecoded - kReadUnit;
}

}  // namespace haft::format
