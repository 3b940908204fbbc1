// Where the bytes of a file that gets packed come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// An input directory, kept open: its files are found below the descriptor, so that paths longer than
// PATH_MAX and a directory renamed meanwhile do no harm.
struct InputRoot {
  UniqueFd fd;
  std::string path;  // as the user wrote it; for messages
};

// A file on disk, or bytes in memory (what haft generates). Cheap to copy; copies share the bytes.
class FileSource {
 public:
  // `relative` is below `root`; nothing is opened yet.
  static FileSource OnDisk(std::shared_ptr<const InputRoot> root, std::string relative);
  // `origin` is what messages call it.
  static FileSource InMemory(std::string bytes, std::string origin);

  // For messages: the path on disk, or the name given to InMemory().
  std::string origin() const;

 private:
  friend class FileReader;
  FileSource() = default;

  std::shared_ptr<const InputRoot> root_;     // null: in memory
  std::shared_ptr<const std::string> bytes_;  // null: on disk
  std::string path_;                          // below root_, or the origin
};

// An open FileSource. The const methods may be called from several threads at once.
class FileReader {
 public:
  // Fails if the file does not have exactly `size` bytes: it has changed since it was scanned.
  static Result<FileReader> Open(const FileSource& source, std::uint64_t size);

  // Fills all of `out`. REQUIRES: offset + out.size() <= the size given to Open().
  Result<> Read(std::uint64_t offset, std::span<std::byte> out) const;

  // The first offset at or after `offset` that may hold something else than zeros; the size if there is
  // none. Only a hint to read less: it depends on how the file lies on the disk.
  std::uint64_t NextData(std::uint64_t offset) const;

 private:
  FileReader() = default;

  UniqueFd fd_;
  std::shared_ptr<const std::string> bytes_;
  std::string origin_;
  std::uint64_t size_ = 0;
};

// The whole of a file that fits into memory.
Result<std::string> ReadSource(const FileSource& source, std::uint64_t size);

}  // namespace haft
