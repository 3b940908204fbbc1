#include "index_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "haft/base/file_io.h"
#include "haft/format/checksum.h"

namespace haft {

IndexView::IndexView(const format::BundleFile& bundle, MappedFile file)
    : bundle_(bundle),
      file_(std::move(file)),
      checked_(std::make_unique<std::atomic<bool>[]>(bundle.chunk_count())) {}

Result<IndexView> IndexView::Open(int fd, const format::BundleFile& bundle) {
  MappedFile file = TRY(MappedFile::Map(fd, bundle.image_offset + bundle.trailer.index_offset,
                                        bundle.trailer.image_size - bundle.trailer.index_offset));
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  auto chunks = file.bytes().first(bundle.index_size()).subspan(bundle.chunks_offset());
  if (format::Checksum(chunks) != bundle.trailer.chunk_table_checksum) {
    return Failure(Error::Corrupt("index: the chunk checksums are damaged"));
  }
#endif
  return IndexView(bundle, std::move(file));
}

Result<> IndexView::CheckChunk(std::uint64_t chunk) const {
  if (checked_[chunk].load(std::memory_order_acquire)) [[likely]]
    return {};
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  auto tables = file_.bytes().first(bundle_.chunks_offset());
  std::uint64_t begin = chunk * format::kChunkSize;
  auto bytes =
      tables.subspan(begin, std::min<std::uint64_t>(format::kChunkSize, tables.size() - begin));
  std::uint64_t expected;
  std::memcpy(&expected, file_.bytes().data() + tables.size() + chunk * sizeof expected,
              sizeof expected);
  if (format::Checksum(bytes) != expected) {
    return Failure(Error::Corrupt(fmt::format("index: chunk {} is damaged", chunk)));
  }
#endif
  checked_[chunk].store(true, std::memory_order_release);
  return {};
}

Result<> IndexView::CheckChunks(std::uint64_t offset, std::uint64_t size) const {
  if (size == 0) return {};
  std::uint64_t last = (offset + size - 1) / format::kChunkSize;
  for (std::uint64_t chunk = offset / format::kChunkSize; chunk <= last; ++chunk) {
    TRY(CheckChunk(chunk));
  }
  return {};
}

// A page that is gone entirely is a fault, which damaged() tells; but behind the end of a file that
// was cut off within a page there are just zeros, and a file overwritten by another image has good
// pages. Either way the last bytes, the trailer's checksum, are others than those read at first.
Result<> IndexView::CheckStillThere() const {
  std::uint64_t checksum;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(&checksum, file_.bytes().last(sizeof checksum).data(), sizeof checksum);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (checksum == bundle_.trailer.checksum && !file_.damaged()) [[likely]]
    return {};
  return Failure(Error::Corrupt("index: the file was cut off, overwritten or cannot be read"));
}

template <typename Record>
Result<Record> IndexView::At(std::string_view table, std::uint64_t base, std::uint64_t count,
                             std::uint64_t number) const {
  if (number >= count) {
    return Failure(Error::Corrupt(fmt::format("index: {} {} of {}", table, number, count)));
  }
  std::uint64_t offset = base + number * sizeof(Record);
  TRY(CheckChunks(offset, sizeof(Record)));
  Record record;
  std::memcpy(&record, file_.bytes().data() + offset, sizeof record);
  TRY(CheckStillThere());
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
  TRY(CheckChunks(begin, size));
  std::string_view text = AsText(file_.bytes().subspan(begin, size));
  TRY(CheckStillThere());
  return text;
}

}  // namespace haft
