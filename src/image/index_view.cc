#include "index_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "haft/base/file_io.h"
#include "haft/format/digest.h"

namespace haft {

IndexView::IndexView(int fd, const format::BundleFile& bundle, std::vector<format::Digest> digests,
                     std::unique_ptr<Copy> copy)
    : fd_(fd), bundle_(bundle), digests_(std::move(digests)), copy_(std::move(copy)) {}

Result<IndexView> IndexView::Open(int fd, const format::BundleFile& bundle) {
  const std::uint64_t size = bundle.index_size();
  std::vector<format::Digest> digests(bundle.chunk_count());
  auto bytes = std::as_writable_bytes(std::span(digests));
  TRY(ReadExactly(fd, bytes, bundle.image_offset + bundle.trailer.security_offset));
  if (!format::HasDigest(bytes, bundle.trailer.chunk_table_digest)) {
    return Failure(Error::Corrupt("index: the chunk digests are damaged"));
  }
  auto copy = std::make_unique<Copy>();
  // Not cleared: that would touch all of it.
  copy->bytes.reset(new (std::nothrow) std::byte[size]);
  if (!copy->bytes) {
    return Failure(Error::FromErrno(fmt::format("index of {} MB", size >> 20), ENOMEM));
  }
  copy->filled = std::make_unique<std::atomic<bool>[]>(digests.size());
  return IndexView(fd, bundle, std::move(digests), std::move(copy));
}

// Read and checked where no other thread looks, and without the lock: others may need other chunks.
Result<> IndexView::FillChunk(std::uint64_t chunk) const {
  std::array<std::byte, format::kChunkSize> buffer;
  const std::uint64_t begin = chunk * format::kChunkSize;
  auto bytes = std::span(buffer).first(
      std::min<std::uint64_t>(format::kChunkSize, bundle_.index_size() - begin));
  auto read = ReadExactly(fd_, bytes, bundle_.image_offset + bundle_.trailer.index_offset + begin);
  if (!read && read.error().kind() == ErrorKind::kCorrupt) {
    return Failure(Error::Corrupt("index: the file was cut off"));
  }
  TRY(std::move(read));
  if (!format::HasDigest(bytes, digests_[chunk])) {
    return Failure(Error::Corrupt(fmt::format("index: chunk {} is damaged", chunk)));
  }
  MutexLock lock(copy_->filling);
  if (copy_->filled[chunk].load(std::memory_order_relaxed)) return {};
  std::ranges::copy(bytes, copy_->bytes.get() + begin);
  copy_->filled[chunk].store(true, std::memory_order_release);
  return {};
}

Result<> IndexView::Need(std::uint64_t offset, std::uint64_t size) const {
  if (size == 0) return {};
  std::uint64_t last = (offset + size - 1) / format::kChunkSize;
  for (std::uint64_t chunk = offset / format::kChunkSize; chunk <= last; ++chunk) {
    if (!copy_->filled[chunk].load(std::memory_order_acquire)) [[unlikely]]
      TRY(FillChunk(chunk));
  }
  return {};
}

template <typename Record>
Result<Record> IndexView::At(std::string_view table, std::uint64_t base, std::uint64_t count,
                             std::uint64_t number) const {
  if (number >= count) {
    return Failure(Error::Corrupt(fmt::format("index: {} {} of {}", table, number, count)));
  }
  std::uint64_t offset = base + number * sizeof(Record);
  TRY(Need(offset, sizeof(Record)));
  Record record;
  std::memcpy(&record, copy_->bytes.get() + offset, sizeof record);
  return record;
}

Result<format::Inode> IndexView::Inode(std::uint64_t row) const {
  return At<format::Inode>("inode", 0, bundle_.trailer.inode_count, row);
}

Result<format::Extent> IndexView::Extent(std::uint64_t number) const {
  return At<format::Extent>("extent", bundle_.extents_offset(), bundle_.trailer.extent_count,
                            number);
}

Result<format::Block> IndexView::Block(std::uint64_t number) const {
  return At<format::Block>("block", bundle_.blocks_offset(), bundle_.trailer.block_count, number);
}

Result<std::string_view> IndexView::String(std::uint64_t offset, std::uint64_t size) const {
  if (!FitsWithin(offset, size, bundle_.trailer.string_size)) {
    return Failure(Error::Corrupt(fmt::format("index: string at {}, {} bytes, of {}", offset, size,
                                              bundle_.trailer.string_size)));
  }
  std::uint64_t begin = bundle_.strings_offset() + offset;
  TRY(Need(begin, size));
  return AsText(std::span(copy_->bytes.get() + begin, size));
}

}  // namespace haft
