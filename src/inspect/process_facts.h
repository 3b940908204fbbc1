// What haft ps reads out of the texts of /proc and of a mount. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "haft/inspect/running_bundle.h"

namespace haft {

// The clock ticks since boot at which a process began, of /proc/PID/stat: its field 22, counted
// after the name in parentheses, which may hold anything. 0 if there is none.
double StartTicks(const std::string& stat);

// "/tmp/haft-0/NAME-IMAGEID/NAME" of /proc/PID/environ, if that is where a process got its bundle's
// files from; else "".
std::string ExtractedTree(std::string_view environ);

// Fills in what .haft/stats says, except `mount` and `pids`. A text that is no object changes
// nothing, and a member of another type counts as missing.
void ReadFigures(RunningBundle& bundle, const std::string& stats);

}  // namespace haft
