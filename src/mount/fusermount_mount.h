// A mount on a directory of the host: for users who keep all that they are.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "mount_request.h"

namespace haft {

// Mounts on LOCATION/NAME-ID/NAME, which all starts of this user that run the same image share: one
// that finds the mount there uses it, unless its server is dead. A detached process of each start
// waits until it is not needed any more; the last one unmounts and removes the directory. What was
// left because all were killed is removed by the next start.
Result<std::string> MountWithFusermount(const MountRequest& request);

}  // namespace haft
