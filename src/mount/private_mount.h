// The first two modes: a mount that only the program and its children see.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "mount_request.h"

namespace haft {

// Both mount the image on request.mount_point in a mount namespace of its own and move this process
// into it. After a failure this process is where it was: root returns to its old namespace, for an
// ordinary user a child does all steps but the last.
Result<std::string> MountInMountNamespace(const MountRequest& request);  // needs CAP_SYS_ADMIN
Result<std::string> MountInUserNamespace(const MountRequest& request);

}  // namespace haft
