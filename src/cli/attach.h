// Into a bundle that is running.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/launch/environment.h"
#include "haft/launch/program.h"

namespace haft::cli {

// "--attach PID".
Result<pid_t> ParsePid(std::string_view text);

// What to run in a process's bundle: its name and the environment lead to the program. The name is
// one of [A-Za-z0-9._-].
using MakeAttached = std::function<Result<Program>(const std::string& name, Environment)>;

// Becomes the program in the bundle of process `pid`, or, if the process belongs to another user,
// runs it as that user in a terminal of its own. The environment is this process's with what a
// bundle changes in it; for another user a fresh small one. Returns an exit status.
int RunAttached(pid_t pid, const MakeAttached& make_program);

}  // namespace haft::cli
