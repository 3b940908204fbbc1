#pragma once

#include "haft/base/error.h"

namespace haft {

// An error if a filter of this process ends whoever makes the calls of a private mount, as
// systemd's SystemCallFilter= does: a start that tried would die without a word. A child makes them
// first, and only where there is a filter at all.
Result<> CheckSyscallFilter();

}  // namespace haft
