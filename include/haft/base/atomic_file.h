#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// A file that appears under its name complete or not at all. Until Commit() it has no name
// (O_TMPFILE), so that nothing is left whatever happens to the process; on file systems without
// that, a hidden name beside the target, which only a kill leaves behind, and only until the next
// Create() in the same directory. Dropped without Commit(): nothing has changed.
class AtomicFile {
 public:
  // The directory of `path` must be writable; `path` may exist, but only as a regular file. The
  // permissions are `mode` without the umask's bits.
  static Result<AtomicFile> Create(const std::string& path, unsigned mode);

  AtomicFile(AtomicFile&& other) noexcept = default;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  int fd() const { return fd_.get(); }  // open for reading and writing

  // Flushes the file to the disk and gives it its name, replacing what is there. Call it once.
  Result<> Commit();

 private:
  AtomicFile() = default;
  Error Failed(int sys_errno) const;
  Result<> Publish();

  std::string path_;
  std::string name_;    // last component of path_
  UniqueFd directory_;  // where name_ and temporary_ are
  UniqueFd fd_;
  std::string temporary_;  // name to be removed; empty: none
};

}  // namespace haft
