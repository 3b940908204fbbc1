#pragma once

#include <cstddef>
#include <string_view>

namespace haft {

// The number of bytes of the UTF-8 character at the front of `text`, 0 if there is none. Neither
// overlong forms nor surrogates are characters. REQUIRES: !text.empty()
std::size_t Utf8CharacterSize(std::string_view text);
bool IsUtf8(std::string_view text);

}  // namespace haft
