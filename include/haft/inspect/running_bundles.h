// The bundles that run on this host, found by looking at processes: nothing is registered anywhere.
#pragma once

#include <vector>

#include "haft/base/error.h"
#include "haft/inspect/running_bundle.h"

namespace haft {

// Those of this user; root: of everybody. The oldest first. Never waits longer than a second for a
// server.
Result<std::vector<RunningBundle>> FindRunningBundles();

}  // namespace haft
