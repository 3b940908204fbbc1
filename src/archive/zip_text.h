#pragma once

#include <string>
#include <string_view>

#include "haft/base/error.h"

namespace haft::zip {

// "'FILE': entry 'NAME': WHY". Control characters are escaped, and a name of thousands of bytes is
// shortened: a message is one line.
std::string EntryText(std::string_view file, std::string_view name, std::string_view why);

// Why a name cannot be one in an image; "" if it can. A directory's name is without its '/'.
std::string_view NameProblem(std::string_view name);

// Orders paths so that everything below a directory follows it at once: '/' before all other bytes.
// REQUIRES: no zero bytes.
bool PathLess(std::string_view a, std::string_view b);

}  // namespace haft::zip
