// Where the bytes of a file that gets packed come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

struct stat;

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// An input directory, kept open: its files are found below the descriptor, so that paths longer
// than PATH_MAX and a directory renamed meanwhile do no harm.
struct InputRoot {
  UniqueFd fd;
  std::string path;  // as the user wrote it; for messages
};

// An archive whose members get packed without being unpacked first. Thread-safe.
class MemberArchive {
 public:
  virtual ~MemberArchive() = default;
  // For messages.
  virtual std::string MemberOrigin(std::uint32_t member) const = 0;
  virtual std::uint64_t MemberSize(std::uint32_t member) const = 0;
  // Fills all of `out`, with nothing that does not belong to a member found undamaged to its end.
  // REQUIRES: offset + out.size() <= MemberSize().
  virtual Result<> ReadMember(std::uint32_t member, std::uint64_t offset,
                              std::span<std::byte> out) = 0;
};

// Which file the scan of an input directory found, and in which state: another one that takes its
// name before it is read is not packed.
struct FileIdentity {
  explicit FileIdentity(const struct stat& status);
  bool operator==(const FileIdentity&) const = default;

  std::uint64_t device, inode, size;
  std::int64_t modified, changed;  // nanoseconds, st_mtime and st_ctime
};

// A file on disk, bytes in memory (what haft generates), or a member of an archive. Cheap to copy;
// copies share the bytes.
class FileSource {
 public:
  // `relative` is below `root`; nothing is opened yet.
  static FileSource OnDisk(std::shared_ptr<const InputRoot> root, std::string relative,
                           const FileIdentity& identity);
  // `origin` is what messages call it.
  static FileSource InMemory(std::string bytes, std::string origin);
  static FileSource InArchive(std::shared_ptr<MemberArchive> archive, std::uint32_t member);

  // For messages: the path on disk, the name given to InMemory(), or what the archive calls it.
  std::string origin() const;
  // Absolute path of a file on disk; nullopt for the others.
  std::optional<std::string> path_on_disk() const;

 private:
  friend class FileReader;
  FileSource() = default;

  std::shared_ptr<const InputRoot> root_;  // one of these three is there
  std::shared_ptr<const std::string> bytes_;
  std::shared_ptr<MemberArchive> archive_;
  std::string path_;                      // below root_, or the origin of bytes_
  std::optional<FileIdentity> identity_;  // of a file on disk
  std::uint32_t member_ = 0;
};

// An open FileSource. The const methods may be called from several threads at once.
class FileReader {
 public:
  // Fails if the file does not have exactly `size` bytes or, on disk, is not the one that was
  // scanned or has changed since. No component of its path below the root may be a link by now.
  static Result<FileReader> Open(const FileSource& source, std::uint64_t size);

  // Fills all of `out`. REQUIRES: offset + out.size() <= the size given to Open().
  Result<> Read(std::uint64_t offset, std::span<std::byte> out) const;

  // The first offset at or after `offset` that may hold something else than zeros; the size if
  // there is none. Only a hint to read less: it depends on how the file lies on the disk.
  std::uint64_t NextData(std::uint64_t offset) const;

 private:
  FileReader() = default;

  UniqueFd fd_;
  std::shared_ptr<const std::string> bytes_;
  std::shared_ptr<MemberArchive> archive_;
  std::uint32_t member_ = 0;
  std::string origin_;
  std::uint64_t size_ = 0;
};

// The whole of a file that fits into memory.
Result<std::string> ReadSource(const FileSource& source, std::uint64_t size);

}  // namespace haft
