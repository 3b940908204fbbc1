#pragma once

#include <sys/types.h>

#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// Opens /dev/fuse. The descriptor belongs to the user namespace of the caller, which must be the
// one that mounts. Every process but the server must close it: whoever keeps it turns a dead server
// into a hang.
Result<UniqueFd> OpenFuseDevice();

struct FuseMountOptions {
  uid_t uid;  // owner of everything in the mount
  gid_t gid;
  bool allow_other;  // processes with other ids may use it (file modes decide)
};

// mount(2)s `device` on `path`, read-only, nosuid, nodev, with the kernel checking permissions. The
// server must not read from the descriptor before this returned (EPERM).
Result<> MountFuse(int device, const std::string& path, const FuseMountOptions& options);

}  // namespace haft
