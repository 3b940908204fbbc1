// Where in a private mount namespace an image is mounted.
#pragma once

#include <string>

#include "haft/server/mount_directory.h"
#include "mount_request.h"

namespace haft {

struct MountPlace {
  std::string path;   // of the image
  std::string cover;  // a directory above it to be covered, so that there can be such a path;
                      // "": there is
  MountDirectory directory;  // that a start has made
};

// What is wanted if that is a directory of the host, or the host's root can make one below
// /run/haft; else a directory above it has to be covered. What belongs below /run/haft is mounted
// below /haft where an administrator has made that directory, or where there is no /run.
MountPlace PlaceFor(const MountRequest& request);

}  // namespace haft
