// Working below a directory descriptor when others may change what lies there.
#pragma once

#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// Opens `path`, relative to `root`, O_CLOEXEC. No component of it may be a symbolic link (ELOOP),
// ".." or lead out of `root` (EXDEV, ELOOP): what is opened lies below `root` whatever is renamed
// or replaced meanwhile. "" is `root` itself. Invalid with errno set on failure.
UniqueFd OpenBeneath(int root, const std::string& path, int flags, unsigned mode = 0);

// The directory a path's last component lies in. Files of one directory, asked for in a row, cost
// one look-up.
class ParentBeneath {
 public:
  explicit ParentBeneath(int root) : root_(root) {}

  // The descriptor, O_PATH, and the last component's name; -1 with errno set on failure. Valid
  // until the next call.
  struct Place {
    int directory;
    const char* name;
  };
  Place Of(const std::string& path);

 private:
  int root_;
  UniqueFd fd_;
  std::string path_;  // of fd_; "" is the root
};

namespace internal {
// What OpenBeneath() does where the kernel has no openat2(2), or a filter forbids it.
UniqueFd OpenComponents(int root, std::string_view path, int flags, unsigned mode);
}  // namespace internal

}  // namespace haft
