#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "haft/base/error.h"

namespace haft::cli {

// Writes to standard output; a closed pipe ends the process quietly, as with any filter.
Result<> Print(std::string_view text);

// A number of bytes: "812 bytes", "12.3 KiB", "4.5 MiB".
std::string ShownSize(std::uint64_t bytes);

}  // namespace haft::cli
