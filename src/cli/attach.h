// Into a bundle that is running.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/launch/environment.h"

namespace haft::cli {

struct Attached {
  std::string mount;  // where the bundle's files are
  Environment environment;
};

// "--attach PID".
Result<pid_t> ParsePid(std::string_view text);

// Makes this process see what process `pid` of a running bundle sees. The environment is this
// process's with what a bundle changes in it: PYTHONPATH, HAFT_BUNDLE, PATH. REQUIRES: one thread.
Result<Attached> Attach(pid_t pid);

}  // namespace haft::cli
