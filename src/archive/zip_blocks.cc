#include "zip_blocks.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace haft {
namespace {

constexpr std::uint32_t kBlockSize = format::kDefaultBlockSize;

std::uint64_t BlockCount(std::uint64_t size) {
  return size / kBlockSize + (size % kBlockSize != 0 ? 1 : 0);
}

}  // namespace

Result<std::unique_ptr<ZipBlocks>> ZipBlocks::Make(std::unique_ptr<const Tree> tree) {
  ContentPlan plan = TRY(ContentPlan::WithoutReading(*tree));
  std::unique_ptr<ZipBlocks> blocks(new ZipBlocks(std::move(tree), std::move(plan)));
  std::uint64_t next = 0;
  for (const TreeNode::File* file : blocks->plan_.contents()) {
    blocks->first_.push_back(static_cast<std::uint32_t>(next));
    next += BlockCount(file->size);
    if (next > format::kMaxBlocks) {
      return Failure(
          Error(ErrorKind::kUnsupported, "its files would need more than 2^32 - 2 blocks"));
    }
  }
  return blocks;
}

std::vector<int> ZipBlocks::Descriptors() const {
  std::vector<int> descriptors;
  for (const auto& archive : archives_) descriptors.push_back(archive->fd());
  return descriptors;
}

// The directory's CRCs can be forged. Reading all of the archive at every start would tell as much
// as this does: which file it is, and whether somebody has written to it.
std::string ZipBlocks::Identity() const {
  struct stat status;
  if (archives_.empty() || ::fstat(archives_.front()->fd(), &status) < 0) return "unknown";
  return fmt::format("{} {} {} {}.{} {}.{}", status.st_dev, status.st_ino, status.st_size,
                     status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                     status.st_ctim.tv_nsec);
}

ContentTables ZipBlocks::Tables() const {
  ContentTables tables;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    const std::uint64_t size = plan_.contents()[i]->size;
    tables.rows.push_back({.first = tables.extents.size(), .count = 1});
    tables.extents.push_back(
        {.file_offset = 0, .length = size, .block = first_[i], .block_offset = 0});
    for (std::uint64_t offset = 0; offset < size; offset += kBlockSize) {
      auto raw_size =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlockSize, size - offset));
      tables.blocks.push_back({.offset = 0,
                               .stored_size = raw_size,
                               .raw_size = raw_size,
                               .digest = {},
                               .codec = format::Codec::kStored,
                               .reserved = {}});
    }
  }
  return tables;
}

Result<> ZipBlocks::Fill(std::uint32_t number, const format::Block&, std::span<std::byte> out) {
  auto above = std::ranges::upper_bound(first_, number);
  if (above == first_.begin()) return Failure(Error::Corrupt("no such block"));
  auto content = static_cast<std::size_t>(above - first_.begin() - 1);
  const TreeNode::File& file = *plan_.contents()[content];
  const std::uint64_t offset = std::uint64_t{number - first_[content]} * kBlockSize;
  if (offset >= file.size ||
      out.size() != std::min<std::uint64_t>(kBlockSize, file.size - offset)) {
    return Failure(Error::Corrupt("no such block"));
  }
  // A large file is decoded to its end before its first block is given: others should not wait.
  Announce(file.size > kBlockSize ? SlowWork::kDisk : SlowWork::kDecode);
  FileReader reader = TRY(FileReader::Open(file.source, file.size));
  return reader.Read(offset, out);
}

}  // namespace haft
