#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/mutex.h"
#include "haft/format/bundle_file.h"

namespace haft {

// The index: hands out copies of its records and views of its strings. The file's owner may write
// to it at any time, so nothing is checked where he can change it: a chunk is copied into memory of
// our own when it is first needed, and its digest is that of the copy. What was handed out once
// stays as it is, whatever happens to the file. Thread-safe.
class IndexView {
 public:
  // Checks the digest of the chunk digests: O(1) for practical purposes (32 bytes per 16 KiB of
  // index). `fd` must stay open as long as the view.
  static Result<IndexView> Open(int fd, const format::BundleFile& bundle);

  Result<format::Inode> Inode(std::uint64_t row) const;
  Result<format::Extent> Extent(std::uint64_t number) const;
  Result<format::Block> Block(std::uint64_t number) const;
  // Valid, and the same, as long as the view.
  Result<std::string_view> String(std::uint64_t offset, std::uint64_t size) const;

 private:
  // The copy. Memory that is not touched costs nothing; bytes of a chunk are written once, under
  // `filling`, and read only when `filled` says so.
  struct Copy {
    std::unique_ptr<std::byte[]> bytes;
    std::unique_ptr<std::atomic<bool>[]> filled;  // one per chunk
    Mutex filling;
  };

  IndexView(int fd, const format::BundleFile& bundle, std::vector<format::Digest> digests,
            std::unique_ptr<Copy> copy);
  Result<> Need(std::uint64_t offset, std::uint64_t size) const;
  Result<> FillChunk(std::uint64_t chunk) const;
  template <typename Record>
  Result<Record> At(std::string_view table, std::uint64_t base, std::uint64_t count,
                    std::uint64_t number) const;

  int fd_;
  format::BundleFile bundle_;
  std::vector<format::Digest> digests_;  // one per chunk
  std::unique_ptr<Copy> copy_;
};

}  // namespace haft
