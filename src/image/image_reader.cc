#include "haft/image/image_reader.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "check_inode.h"
#include "file_blocks.h"
#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "haft/format/limits.h"
#include "index_view.h"
#include "read_budget.h"

namespace haft {
namespace {

using format::Inode;

Error NotADirectory() {
  return Error(ErrorKind::kInvalidInput, "not a directory", ENOTDIR);
}

Error BadInode(InodeId inode, std::string_view field) {
  return haft::BadInode(std::to_underlying(inode), field);
}

// st_blocks of a file with more extents counts its holes as well: a listing must not look at them
// all.
constexpr std::uint32_t kMaxStatExtents = 16;
// SEEK_HOLE looks at no more extents that are not one, and then says that the next is at the end.
constexpr std::uint64_t kMaxSeekExtents = 4096;

// What holes are made of. Never written; not const so that it costs memory (.bss) only when it is
// used.
constinit std::array<std::byte, format::kDefaultBlockSize> zeros{};

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= format::kMaxNameSize && name != "." && name != ".." &&
         name.find('/') == name.npos && name.find('\0') == name.npos;
}

}  // namespace

struct ImageReader::Impl {
  UniqueFd file;
  format::BundleFile bundle;
  IndexView index;
  mutable BlockCache cache;
  std::unique_ptr<BlockSource> blocks;
  std::function<void(const BlockUse&)> block_used = {};

  // The record of an inode, checked on its own (not against its relatives).
  Result<Inode> Record(InodeId inode) const;
  Result<Inode> Directory(InodeId dir) const;
  Result<Inode> RegularFile(InodeId file) const;
  Result<Attributes> MakeAttributes(InodeId inode, const Inode& record) const;
  // Child `index` of a directory; checks that it names its parent and has a proper name.
  Result<DirectoryEntry> Child(InodeId dir, const Inode& record, std::uint64_t index) const;
  Result<std::string_view> ChildName(InodeId dir, const Inode& record, std::uint64_t index) const;
  Result<format::Extent> ExtentOf(InodeId file, const Inode& record, std::uint64_t number) const;
  // Number (within the file) of the extent that holds `offset`. REQUIRES: offset < size.
  Result<std::uint64_t> FindExtent(InodeId file, const Inode& record, std::uint64_t offset) const;
  Result<PinnedBlock> LoadBlock(std::uint32_t number, std::uint32_t needed,
                                ReadBudget& budget) const;
  Result<> AppendExtent(const format::Extent& extent, std::uint64_t offset, std::uint64_t length,
                        ReadBudget& budget, std::vector<Slice>& out) const;
};

Result<ImageReader> ImageReader::Open(UniqueFd file, std::size_t cache_bytes) {
  return Open(std::move(file), nullptr, cache_bytes);
}

Result<ImageReader> ImageReader::Open(UniqueFd file, std::unique_ptr<BlockSource> blocks,
                                      std::size_t cache_bytes) {
  format::BundleFile bundle = TRY(format::LocateImage(file.get()));
  if (!blocks) blocks = std::make_unique<FileBlocks>(file.get(), bundle);
  IndexView index = TRY(IndexView::Open(file.get(), bundle));
  auto impl = std::shared_ptr<Impl>(new Impl{.file = std::move(file),
                                             .bundle = bundle,
                                             .index = std::move(index),
                                             .cache{cache_bytes, bundle.trailer.block_size},
                                             .blocks = std::move(blocks)});
  TRY(impl->Directory(InodeId::kRoot));
  return ImageReader(std::move(impl));
}

ImageReader::ImageReader(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImageReader::ImageReader(ImageReader&&) noexcept = default;
ImageReader& ImageReader::operator=(ImageReader&&) noexcept = default;
ImageReader::~ImageReader() = default;

ImageReader ImageReader::Share() const {
  return ImageReader(impl_);
}

const format::BundleFile& ImageReader::bundle() const {
  return impl_->bundle;
}
int ImageReader::fd() const {
  return impl_->file.get();
}
std::vector<int> ImageReader::Descriptors() const {
  std::vector<int> descriptors = impl_->blocks->Descriptors();
  descriptors.push_back(fd());
  return descriptors;
}
format::Digest ImageReader::image_id() const {
  const std::string identity = impl_->blocks->Identity();
  if (identity.empty()) return bundle().trailer.root;
  return format::Sha256Of(AsBytes(format::ToHex(bundle().trailer.root) + " " + identity));
}
BlockCache& ImageReader::cache() const {
  return impl_->cache;
}
void ImageReader::SetSlowWorkHook(SlowWorkHook hook) {
  impl_->cache.SetLongWaitHook(hook ? [hook] { hook(SlowWork::kDisk); } : std::function<void()>());
  impl_->blocks->SetSlowWorkHook(std::move(hook));
}
void ImageReader::SetBlockUseHook(std::function<void(const BlockUse&)> hook) {
  impl_->block_used = std::move(hook);
}

// --- inodes and directories ---

Result<Inode> ImageReader::Impl::Record(InodeId inode) const {
  auto row = std::to_underlying(inode);
  Inode record = TRY(index.Inode(row));
  TRY(CheckInode(row, record, bundle.trailer));
  return record;
}

Result<Inode> ImageReader::Impl::Directory(InodeId dir) const {
  Inode record = TRY(Record(dir));
  if (!S_ISDIR(record.mode)) return Failure(NotADirectory());
  return record;
}

Result<Inode> ImageReader::Impl::RegularFile(InodeId id) const {
  Inode record = TRY(Record(id));
  if (S_ISDIR(record.mode))
    return Failure(Error(ErrorKind::kInvalidInput, "is a directory", EISDIR));
  if (!S_ISREG(record.mode)) return Failure(Error(ErrorKind::kInvalidInput, "not a file", EINVAL));
  return record;
}

Result<Attributes> ImageReader::Impl::MakeAttributes(InodeId inode, const Inode& record) const {
  Attributes attributes{.type = S_ISDIR(record.mode)   ? FileType::kDirectory
                                : S_ISREG(record.mode) ? FileType::kFile
                                                       : FileType::kSymlink,
                        .mode = record.mode & format::kModeMask,
                        .links = record.links,
                        .size = record.size,
                        .mtime = record.mtime,
                        .mtime_nanoseconds = record.mtime_nanoseconds,
                        .stored = record.size,
                        .parent = InodeId{record.parent}};
  if (attributes.type != FileType::kFile || record.count > kMaxStatExtents) return attributes;
  for (std::uint32_t i = 0; i < record.count; ++i) {
    // One extent and more than one byte short of a hole: nothing to subtract.
    if (record.count == 1 && record.size <= bundle.trailer.block_size) break;
    auto extent = ExtentOf(inode, record, i);
    if (!extent) {
      // Reading it will fail; its name, size and neighbours need no extents.
      attributes.stored = record.size;
      break;
    }
    if (extent->block == format::kHoleBlock)
      attributes.stored -= std::min(extent->length, attributes.stored);
  }
  return attributes;
}

Result<std::string_view> ImageReader::Impl::ChildName(InodeId dir, const Inode& record,
                                                      std::uint64_t number) const {
  auto child = InodeId{static_cast<std::uint32_t>(record.first + number)};
  Inode inode = TRY(index.Inode(std::to_underlying(child)));
  if (inode.parent != std::to_underlying(dir)) return Failure(BadInode(child, "parent"));
  if (inode.name_size == 0 || inode.name_size > format::kMaxNameSize) {
    return Failure(BadInode(child, "name_size"));
  }
  std::string_view name = TRY(index.String(inode.name_offset, inode.name_size));
  // Here, not only for what is shown: a bad name must not send a binary search the wrong way. It
  // may be zeros where the file was cut off meanwhile.
  if (!IsName(name)) return Failure(BadInode(child, "name"));
  return name;
}

Result<DirectoryEntry> ImageReader::Impl::Child(InodeId dir, const Inode& record,
                                                std::uint64_t number) const {
  std::string_view name = TRY(ChildName(dir, record, number));
  auto child = InodeId{static_cast<std::uint32_t>(record.first + number)};
  Inode inode = TRY(Record(child));
  const Attributes attributes = TRY(MakeAttributes(child, inode));
  return DirectoryEntry{.name = name, .inode = child, .attributes = attributes};
}

Result<Attributes> ImageReader::Stat(InodeId inode) const {
  return impl_->MakeAttributes(inode, TRY(impl_->Record(inode)));
}

Result<std::optional<DirectoryEntry>> ImageReader::Lookup(InodeId dir,
                                                          std::string_view name) const {
  Inode record = TRY(impl_->Directory(dir));
  if (!IsName(name)) return std::nullopt;
  std::uint64_t low = 0, high = record.count;
  while (low < high) {
    std::uint64_t middle = low + (high - low) / 2;
    int order = TRY(impl_->ChildName(dir, record, middle)).compare(name);
    if (order == 0) return TRY(impl_->Child(dir, record, middle));
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return std::nullopt;
}

Result<std::optional<DirectoryEntry>> ImageReader::EntryAt(InodeId dir, std::uint64_t index) const {
  Inode record = TRY(impl_->Directory(dir));
  if (index >= record.count) return std::nullopt;
  DirectoryEntry entry = TRY(impl_->Child(dir, record, index));
  // Strictly ascending: a listing never shows a name twice, and agrees with Lookup().
  if (index > 0 && TRY(impl_->ChildName(dir, record, index - 1)) >= entry.name) {
    return Failure(BadInode(entry.inode, "name order"));
  }
  return entry;
}

Result<std::uint64_t> ImageReader::EntryCount(InodeId dir) const {
  return TRY(impl_->Directory(dir)).count;
}

Result<std::string_view> ImageReader::ReadLink(InodeId symlink) const {
  Inode record = TRY(impl_->Record(symlink));
  if (!S_ISLNK(record.mode)) {
    return Failure(Error(ErrorKind::kInvalidInput, "not a symbolic link", EINVAL));
  }
  std::string_view target = TRY(impl_->index.String(record.first, record.size));
  if (target.find('\0') != target.npos) return Failure(BadInode(symlink, "target"));
  return target;
}

// --- contents ---

Result<format::Extent> ImageReader::Impl::ExtentOf(InodeId id, const Inode& record,
                                                   std::uint64_t number) const {
  format::Extent extent = TRY(index.Extent(record.first + number));
  if (!FitsWithin(extent.file_offset, extent.length, record.size) || extent.length == 0) {
    return Failure(BadInode(id, "extent"));
  }
  // It ends where the next one starts: a gap or an overlap would show bytes from elsewhere.
  std::uint64_t end = record.size;
  if (number + 1 < record.count) {
    const format::Extent next = TRY(index.Extent(record.first + number + 1));
    end = next.file_offset;
    // One hole is one extent: what is not a hole is found without a search.
    if (extent.block == format::kHoleBlock && next.block == format::kHoleBlock)
      return Failure(BadInode(id, "extent"));
  }
  if (extent.file_offset + extent.length != end || (number == 0 && extent.file_offset != 0)) {
    return Failure(BadInode(id, "extent"));
  }
  return extent;
}

Result<std::uint64_t> ImageReader::Impl::FindExtent(InodeId id, const Inode& record,
                                                    std::uint64_t offset) const {
  std::uint64_t low = 0, high = record.count;  // the last extent that starts at or before offset
  while (high - low > 1) {
    std::uint64_t middle = low + (high - low) / 2;
    if (TRY(ExtentOf(id, record, middle)).file_offset <= offset) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// `needed`: how many bytes of the decoded block the caller is going to use.
Result<PinnedBlock> ImageReader::Impl::LoadBlock(std::uint32_t number, std::uint32_t needed,
                                                 ReadBudget& budget) const {
  format::Block block = TRY(index.Block(number));
  auto within = [&](Error error) {
    return Failure(std::move(error).Within(fmt::format("block {}", number)));
  };
  if (block.raw_size == 0 || block.raw_size > bundle.trailer.block_size ||
      needed > block.raw_size) {
    return within(Error::Corrupt("sizes are impossible"));
  }
  BlockUse use{.block = number, .decoded = false, .took = {}};
  auto began =
      block_used ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
  auto pinned = cache.Get(number, block.raw_size, [&](std::span<std::byte> out) -> Result<> {
    TRY(budget.TakeDecoded(block.raw_size));
    use.decoded = true;
    return blocks->Fill(number, block, out);
  });
  if (!pinned) return within(std::move(pinned).error());
  if (block_used) {
    use.took = std::chrono::steady_clock::now() - began;
    block_used(use);
  }
  return pinned;
}

// Slices for [offset, offset + length) of one extent's bytes.
Result<> ImageReader::Impl::AppendExtent(const format::Extent& extent, std::uint64_t offset,
                                         std::uint64_t length, ReadBudget& budget,
                                         std::vector<Slice>& out) const {
  std::uint64_t block_size = bundle.trailer.block_size;
  if (extent.block == format::kHoleBlock) {
    while (length > 0) {
      std::uint64_t part = std::min<std::uint64_t>(length, zeros.size());
      out.push_back({.block = {}, .bytes = std::span(zeros).first(part)});
      length -= part;
    }
    return {};
  }
  // A run over several blocks starts at the beginning of its first one.
  if (extent.block_offset != 0 && !FitsWithin(extent.block_offset, extent.length, block_size)) {
    return Failure(Error::Corrupt("extent leaves its block"));
  }
  std::uint64_t position = extent.block_offset + offset;
  while (length > 0) {
    std::uint64_t number = extent.block + position / block_size;
    std::uint64_t inside = position % block_size;
    std::uint64_t part = std::min(length, block_size - inside);
    if (number >= bundle.trailer.block_count)
      return Failure(Error::Corrupt("extent leaves the blocks"));
    PinnedBlock block = TRY(LoadBlock(static_cast<std::uint32_t>(number),
                                      static_cast<std::uint32_t>(inside + part), budget));
    auto bytes = block.bytes().subspan(inside, part);
    out.push_back({.block = std::move(block), .bytes = bytes});
    position += part;
    length -= part;
  }
  return {};
}

std::uint64_t ImageReader::Place(InodeId file) const {
  auto record = impl_->RegularFile(file);
  if (!record || record->count == 0) return 0;
  auto extent = impl_->ExtentOf(file, *record, 0);
  return extent && extent->block != format::kHoleBlock ? extent->block : 0;
}

Result<> ImageReader::Read(InodeId file, std::uint64_t offset, std::size_t length,
                           std::vector<Slice>& out) const {
  out.clear();
  Inode record = TRY(impl_->RegularFile(file));
  if (offset >= record.size) return {};
  std::uint64_t end = offset + std::min<std::uint64_t>(length, record.size - offset);
  if (offset == end) return {};
  ReadBudget budget(end - offset);
  std::uint64_t number = TRY(impl_->FindExtent(file, record, offset));
  while (offset < end) {
    if (number >= record.count) return Failure(BadInode(file, "extents"));
    format::Extent extent = TRY(impl_->ExtentOf(file, record, number++));
    if (extent.file_offset > offset || offset - extent.file_offset >= extent.length) {
      return Failure(BadInode(file, "extents"));
    }
    std::uint64_t inside = offset - extent.file_offset;
    std::uint64_t part = std::min(end - offset, extent.length - inside);
    auto within = [&] { return fmt::format("inode {}", std::to_underlying(file) + 1); };
    TRY_WITHIN(within(), budget.TakeExtent());
    TRY_WITHIN(within(), impl_->AppendExtent(extent, inside, part, budget, out));
    offset += part;
  }
  return {};
}

Result<std::uint64_t> ImageReader::Seek(InodeId file, std::uint64_t offset, bool hole) const {
  Inode record = TRY(impl_->RegularFile(file));
  if (offset >= record.size) {
    return Failure(Error(ErrorKind::kInvalidInput, "seek behind the end", ENXIO));
  }
  const std::uint64_t begin = TRY(impl_->FindExtent(file, record, offset));
  const std::uint64_t end = std::min<std::uint64_t>(record.count, begin + kMaxSeekExtents);
  for (std::uint64_t i = begin; i < end; ++i) {
    format::Extent extent = TRY(impl_->ExtentOf(file, record, i));
    if ((extent.block == format::kHoleBlock) == hole) return std::max(offset, extent.file_offset);
  }
  // The end of the file is a hole; behind the last data there is no more data.
  if (hole) return record.size;
  return Failure(Error(ErrorKind::kInvalidInput, "no data behind this offset", ENXIO));
}

}  // namespace haft
