#pragma once

#include "haft/format/bundle_file.h"
#include "haft/image/block_source.h"

namespace haft {

// The blocks of a native image. Stored bytes are read with pread, never through a mapping: a file
// that was cut off is an error then, not a signal. The descriptor stays the caller's.
class FileBlocks : public BlockSource {
 public:
  FileBlocks(int fd, const format::BundleFile& bundle) : fd_(fd), bundle_(bundle) {}
  Result<> Fill(std::uint32_t number, const format::Block& block,
                std::span<std::byte> out) override;

 private:
  Result<> ReadStored(std::uint64_t offset, std::span<std::byte> out) const;

  int fd_;
  format::BundleFile bundle_;
};

}  // namespace haft
