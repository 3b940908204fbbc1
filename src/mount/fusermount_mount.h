// The third mode: a mount on a directory of the host, for users who may not have namespaces.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "mount_request.h"

namespace haft {

// Mounts on LOCATION/mXXXXXXXX/NAME, a new directory of this user's own. A detached process
// unmounts and removes it when nothing uses it any more; what was left because that one was killed
// is removed by the next start.
Result<std::string> MountWithFusermount(const MountRequest& request);

}  // namespace haft
