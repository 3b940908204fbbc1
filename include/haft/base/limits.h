// Limits of a process, met as errors that name them. EMFILE and EFBIG name theirs by themselves
// (Error::FromErrno).
#pragma once

#include <signal.h>
#include <sys/resource.h>

#include <string_view>

#include "haft/base/error.h"

namespace haft {

// What could not be done because fork(2) failed, with the errno of that.
Error NoProcess(std::string_view what, int sys_errno = errno);

// While it lives, writing more to a file than RLIMIT_FSIZE allows is an error (EFBIG), not the end
// by SIGXFSZ. The limit is about files on disks, but the kernel counts those in memory as well: for
// them it is lifted, as far as this process may. Not thread-safe.
class FileSizeLimit {
 public:
  enum class Files { kOnDisk, kInMemory };
  explicit FileSizeLimit(Files files);
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit();

 private:
  struct sigaction action_ = {};
  rlimit limit_ = {};
  bool lifted_ = false;
};

}  // namespace haft
