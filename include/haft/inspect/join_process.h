#pragma once

#include <sys/types.h>

#include <string>

#include "haft/base/error.h"

namespace haft {

// Makes this process see what process `pid` sees: its mount namespace and, if it has one of its
// own, its user namespace, in which this process becomes the user that `pid` is. The working
// directory stays the same path where that exists. Nothing changes if `pid` has no namespaces of
// its own. After a failure the process may be in new namespaces and should end. REQUIRES: one
// thread.
Result<> JoinProcess(pid_t pid);

}  // namespace haft
