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

// At most so many bytes of its beginning or end, where a character ends or begins.
std::string_view Utf8Prefix(std::string_view text, std::size_t most);
std::string_view Utf8Suffix(std::string_view text, std::size_t most);

}  // namespace haft
