// The last mode: no FUSE at all, the image is unpacked.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "mount_request.h"

namespace haft {

// Unpacks into LOCATION/NAME-IMAGEID/NAME, or uses what another start of the same image has
// unpacked there, and says so in one line unless it was asked for. The location is the first of
// this user's with enough room in which programs may be executed (if the image holds any). A
// detached process removes it when nothing uses it any more; what was left because that one was
// killed is removed by the next start. With HAFT_CACHE=DIR the location is DIR, and everything
// stays.
Result<std::string> ExtractToDirectory(const MountRequest& request);

}  // namespace haft
