#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "haft/base/error.h"
#include "haft/base/mapped_file.h"
#include "haft/format/bundle_file.h"

namespace haft {

// The mapped index: hands out copies of its records and views of its strings. Each access checks
// its bounds, the checksum of the chunks it touches (once per chunk), and that the file still backs
// the mapping. Thread-safe.
class IndexView {
 public:
  // Checks the checksum of the chunk checksums: O(1) for practical purposes (8 bytes per 16 KiB of
  // index).
  static Result<IndexView> Open(int fd, const format::BundleFile& bundle);

  Result<format::Inode> Inode(std::uint64_t row) const;
  Result<format::Extent> Extent(std::uint64_t number) const;
  Result<format::Block> Block(std::uint64_t number) const;
  Result<std::string_view> String(std::uint64_t offset, std::uint64_t size) const;

 private:
  IndexView(const format::BundleFile& bundle, MappedFile file);
  Result<> CheckChunks(std::uint64_t offset, std::uint64_t size) const;
  Result<> CheckChunk(std::uint64_t chunk) const;
  // To be called after bytes were used: whether they were still the file's.
  Result<> CheckStillThere() const;
  template <typename Record>
  Result<Record> At(std::string_view table, std::uint64_t base, std::uint64_t count,
                    std::uint64_t number) const;

  format::BundleFile bundle_;
  MappedFile file_;                               // from the index to the end of the trailer
  std::unique_ptr<std::atomic<bool>[]> checked_;  // one per chunk
};

}  // namespace haft
