#pragma once

#include <string_view>

#include "haft/base/error.h"

namespace haft::cli {

// Writes to standard output; a closed pipe ends the process quietly, as with any filter.
Result<> Print(std::string_view text);

}  // namespace haft::cli
