#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace haft {

// The number of bytes of the UTF-8 character at the front of `text`, 0 if there is none. Neither
// overlong forms nor surrogates are characters. REQUIRES: !text.empty()
std::size_t Utf8CharacterSize(std::string_view text);
bool IsUtf8(std::string_view text);

// A text of somebody else's, for people: control characters (C1 too), those that turn the direction
// of writing or end a line, and what is not UTF-8 as \xNN. Showing it twice changes nothing.
std::string Shown(std::string_view text);

}  // namespace haft
