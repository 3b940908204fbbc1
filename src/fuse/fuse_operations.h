#pragma once

#include "file_system.h"

namespace haft {

// libfuse's table of what is called for which request. The session's user data is the FileSystem
// that answers; every call is counted, and recorded if requests are.
const fuse_lowlevel_ops& FuseOperations();

}  // namespace haft
