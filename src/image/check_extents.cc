#include "check_extents.h"

#include <algorithm>

#include "haft/format/limits.h"

namespace haft {
namespace {

constexpr const char* kNoOrder = "extents do not follow each other";
constexpr const char* kLeaves = "extent leaves its blocks";

// Whether any of these (ascending) is in [first, end).
bool HasAny(const std::vector<std::uint64_t>& blocks, std::uint64_t first, std::uint64_t end) {
  auto found = std::ranges::lower_bound(blocks, first);
  return found != blocks.end() && *found < end;
}

}  // namespace

std::uint64_t ExtentChecker::LastBlock(const format::Extent& extent) const {
  return extent.block + (extent.block_offset + extent.length - 1) / trailer_.block_size;
}

// Not block by block: the extents of a forged image can all cover all blocks.
const char* ExtentChecker::ProblemOf(const format::Extent& extent) const {
  if (extent.block == format::kHoleBlock)
    return extent.block_offset != 0 ? "extent of a hole has an offset" : nullptr;
  const std::uint64_t last = LastBlock(extent);
  if (last >= trailer_.block_count || (last != extent.block && extent.block_offset != 0))
    return kLeaves;
  if (last >= blocks_.first_unknown) return nullptr;
  auto record = index_.Block(last);
  const std::uint64_t last_byte = extent.block_offset + extent.length - 1;
  if (!record || last_byte % trailer_.block_size >= record->raw_size ||
      HasAny(blocks_.shorter, extent.block, last))
    return kLeaves;
  return nullptr;
}

bool ExtentChecker::IsDamaged(const format::Extent& extent) const {
  if (extent.block == format::kHoleBlock) return false;
  const std::uint64_t last = LastBlock(extent);
  return last >= blocks_.first_unknown || HasAny(blocks_.damaged, extent.block, last + 1);
}

std::uint64_t ExtentChecker::NextChunk(std::uint64_t number) const {
  const std::uint64_t offset = bundle_.extents_offset() + number * sizeof(format::Extent);
  const std::uint64_t end = (offset / format::kChunkSize + 1) * format::kChunkSize;
  return number + (end - offset + sizeof(format::Extent) - 1) / sizeof(format::Extent);
}

// Long: one pass; its parts share the run that goes on.
void ExtentChecker::ReadTable() {
  format::ReadCost cost(
      [this](std::uint32_t number) {
        auto block = index_.Block(number);
        return block ? block->raw_size : 0;
      },
      trailer_.block_size);
  bool open = false;  // the last run may go on
  std::uint64_t expected = 0;
  bool after_hole = false;
  for (std::uint64_t number = 0; number < trailer_.extent_count; ++number) {
    const auto found = index_.Extent(number);
    if (!found) {
      number = NextChunk(number) - 1;
      open = false;
      continue;
    }
    const format::Extent& extent = *found;
    if (extent.file_offset == 0) {
      runs_.push_back(
          {.first = number, .end = number, .damaged = UINT64_MAX, .why_not_further = kNoOrder});
      open = true;
      expected = 0;
      after_hole = false;
      cost.Reset();
    }
    if (!open) continue;
    Run& run = runs_.back();
    const bool hole = extent.block == format::kHoleBlock;
    const char* problem = nullptr;
    if (extent.file_offset != expected || extent.length == 0 ||
        extent.length > format::kMaxFileSize - expected) {
      problem = kNoOrder;
    } else if (hole && after_hole) {
      problem = "two holes in a row";
    } else {
      problem = ProblemOf(extent);
    }
    if (problem == nullptr && !cost.Add(extent))
      problem = "a read needs too many extents or blocks";
    if (problem != nullptr) {
      run.why_not_further = problem;
      open = false;
      continue;
    }
    if (run.damaged == UINT64_MAX && IsDamaged(extent)) run.damaged = number;
    run.end = number + 1;
    expected += extent.length;
    after_hole = hole;
  }
}

std::string_view ExtentChecker::Check(const format::Inode& file) const {
  constexpr std::string_view kWrongSize = "extents do not add up to its size";
  if (file.count == 0) return file.size == 0 ? "" : kWrongSize;
  auto run = std::ranges::lower_bound(runs_, file.first, {}, &Run::first);
  if (run == runs_.end() || run->first != file.first) return kNoOrder;
  if (file.count > run->end - run->first) return run->why_not_further;
  auto last = index_.Extent(file.first + file.count - 1);
  if (!last || last->file_offset + last->length != file.size) return kWrongSize;
  return run->damaged < file.first + file.count ? "lies in a damaged block" : "";
}

}  // namespace haft
