// A program of another user, away from our terminal and descriptors.
#pragma once

#include <functional>

#include "haft/base/error.h"

namespace haft::cli {

// Runs `program`, whose result is an exit status, in a child that is the leader of a session of its
// own. Of our standard streams those that are a terminal are a new terminal to it, whose slave
// belongs to user `owner`; the others are pipes. What goes through them is copied. TIOCSTI,
// background reads and changed settings thus reach nobody's terminal but the child's. Signals that
// end us are passed on. Returns the child's status as waitpid(2) gives it; whatever is left of its
// session then loses its terminal. REQUIRES: one thread.
Result<int> RunInOwnTerminal(unsigned owner, const std::function<int()>& program);

}  // namespace haft::cli
