#include "file_blocks.h"

#include <sys/uio.h>

#include <memory>

#include "haft/base/file_io.h"
#include "haft/format/block_codec.h"

namespace haft {

// Without waiting if the page cache has the bytes; else the hook is told first.
Result<> FileBlocks::ReadStored(std::uint64_t offset, std::span<std::byte> out) const {
  std::uint64_t position = bundle_.image_offset + offset;
  iovec buffer{.iov_base = out.data(), .iov_len = out.size()};
  ssize_t n = ::preadv2(fd_, &buffer, 1, static_cast<off_t>(position), RWF_NOWAIT);
  bool cached = n == static_cast<ssize_t>(out.size());
  Announce(cached ? SlowWork::kDecode : SlowWork::kDisk);
  if (cached) return {};
  return ReadExactly(fd_, out, position);
}

Result<> FileBlocks::Fill(std::uint32_t, const format::Block& block, std::span<std::byte> out) {
  if (block.stored_size == 0 || block.stored_size > bundle_.trailer.block_size ||
      !FitsWithin(block.offset, block.stored_size, bundle_.trailer.image_size)) {
    return Failure(Error::Corrupt("sizes are impossible"));
  }
  if (block.codec == format::Codec::kStored) {
    if (block.stored_size != block.raw_size) return Failure(Error::Corrupt("sizes differ"));
    TRY(ReadStored(block.offset, out));
    return format::DecodeBlock(block, out, out);
  }
  // One buffer per thread for compressed bytes; the largest block is 1 MiB. Of memory that nobody
  // has written yet only what is used costs anything.
  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    std::uint32_t capacity = 0;
  };
  thread_local Buffer stored;
  if (stored.capacity < block.stored_size) {
    stored.bytes = std::make_unique_for_overwrite<std::byte[]>(bundle_.trailer.block_size);
    stored.capacity = bundle_.trailer.block_size;
  }
  const std::span bytes(stored.bytes.get(), block.stored_size);
  TRY(ReadStored(block.offset, bytes));
  return format::DecodeBlock(block, bytes, out);
}

}  // namespace haft
