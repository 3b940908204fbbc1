#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// Splits text into words as a shell does: blanks separate; quotes and backslashes keep them;
// nothing is expanded. kUsage for a quote or a backslash without an end.
Result<std::vector<std::string>> ShellWords(std::string_view text);

}  // namespace haft
