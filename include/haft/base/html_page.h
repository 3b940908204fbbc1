#pragma once

#include <string>
#include <string_view>

namespace haft {

// A self-contained HTML page: `page` with its one "/*DATA*/null" replaced by `json`, in a form that
// cannot end the script it is in.
std::string FillPage(std::string_view page, std::string_view json);

}  // namespace haft
