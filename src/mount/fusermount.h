// fusermount3, the setuid program that mounts and unmounts FUSE file systems for ordinary users.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/mount/unmount.h"

namespace haft {

// Why it cannot be used at all, if so.
Result<> CheckFusermount();

// Mounts on `path`, an empty directory of this user's; the mounted descriptor of /dev/fuse. Root
// may allow other users.
Result<UniqueFd> MountByFusermount(const std::string& path, bool allow_other);

Result<> UnmountByFusermount(const std::string& path, UnmountHow how);

}  // namespace haft
