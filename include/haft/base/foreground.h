#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// Runs a program in this process's place for its user: it has our standard streams, process group,
// terminal, signal dispositions and descriptors without close-on-exec. Signals sent to this process
// are passed on (those from the terminal reach the child by themselves), and when it stops, so do
// we. Returns its status as waitpid(2) gives it. REQUIRES: one thread.
Result<int> RunInForeground(const std::string& path, const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment);

// Ends this process as `status`, one of waitpid(2), says: the same exit status, or killed by the
// same signal.
[[noreturn]] void EndLike(int status);
// Ends this process as the default action of `signal` does, without a core file.
[[noreturn]] void EndBySignal(int signal);

}  // namespace haft
