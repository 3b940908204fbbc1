// The directory in the image of a web application for what its server has to write for its own use
// and nobody has to keep: configuration and sockets.
#pragma once

#include <string>

#include "haft/base/error.h"

namespace haft {

// Gives the program an empty directory in memory at .haft/run of the image mounted on
// `mount_point`, its user's alone, that ends with the mount namespace. An image without such a
// directory gets none: the program has to find another place. REQUIRES: a private mount.
Result<> MountRuntimeDirectory(const std::string& mount_point);

}  // namespace haft
