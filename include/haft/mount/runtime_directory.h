// The directory beside the image for what a program has to write for its own use and nobody has to
// keep: the configuration and sockets of a server.
#pragma once

#include <string>

#include "haft/base/error.h"

namespace haft {

// "/haft/.run" for "/haft/NAME". No bundle's name begins with a dot.
std::string RuntimeDirectory(const std::string& mount_point);

// Makes room for it in a private root that is not read-only yet. The host, or the bundle this one
// is started from, may have a directory of that name; it will be covered.
Result<> MakeRuntimeDirectory(const std::string& mount_point);

// Gives the program an empty directory in memory there, its user's alone, that ends with the mount
// namespace. Where the root is none that MakeRuntimeDirectory() saw, nothing happens: the program
// has to find another place.
Result<> MountRuntimeDirectory(const std::string& mount_point);

}  // namespace haft
