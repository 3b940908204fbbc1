// The mount that a directory is on, in a mount namespace that stays a peer of the host's: what is
// mounted on either side is seen on both. Only what is mounted between Isolate() and Rejoin() on
// this one mount is not.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

class CarrierMount {
 public:
  // In the host's namespace: the mount that the directory `path` is on, also if its root is outside
  // this process's chroot (that needs /proc and CAP_SYS_CHROOT). Before Linux 5.15 it finds
  // nothing, without an error.
  static Result<CarrierMount> Find(const std::string& path);

  // In the new namespace, with the same path: takes the mount out of its peer group. Where it could
  // not come back, it goes on receiving what the host mounts.
  Result<> Isolate(const std::string& path);

  // Puts it back. After a failure the mount is private: neither side sees what the other mounts on
  // it.
  Result<> Rejoin();

 private:
  UniqueFd hosts_ = {};  // the root of the mount, in the host's namespace
  UniqueFd own_ = {};    // in ours; none: not taken out of its group
};

}  // namespace haft
