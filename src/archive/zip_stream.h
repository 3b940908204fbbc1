#pragma once

#include <zip.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "haft/archive/zip_directory.h"
#include "haft/base/error.h"

namespace haft::zip {

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using ArchiveHandle = std::unique_ptr<zip_t, CloseArchive>;

// Opens the archive in `fd`, whose first byte is at `base`, in libzip. `fd` stays the caller's and
// has to outlive the handle. `file` is for messages.
Result<ArchiveHandle> OpenArchive(int fd, std::uint64_t base, const std::string& file);

// Decodes one entry from its start. Not thread-safe, nor are two streams of one archive.
class Stream {
 public:
  // `archive` has to outlive the stream; `index` is that of the entry, `file` for messages, the
  // directory's.
  static Result<Stream> Open(zip_t* archive, std::uint32_t index, const ZipEntry& entry,
                             const std::string& file);

  // Fills all of `out`. What ends the entry only succeeds if it has no more bytes and its CRC is
  // right. REQUIRES: out.size() <= bytes left.
  Result<> Next(std::span<std::byte> out);
  std::uint64_t position() const { return position_; }

 private:
  struct CloseFile {
    void operator()(zip_file_t* file) const { zip_fclose(file); }
  };
  Stream(zip_file_t* handle, const ZipEntry& entry, const std::string& file)
      : handle_(handle), entry_(&entry), file_(&file) {}
  Result<> Finish();
  Error Wrong(std::string_view why) const;
  Error ReadError() const;

  std::unique_ptr<zip_file_t, CloseFile> handle_;  // null once the end was reached
  const ZipEntry* entry_;
  const std::string* file_;
  std::uint64_t position_ = 0;
};

}  // namespace haft::zip
