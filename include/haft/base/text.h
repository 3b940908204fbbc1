// Taking text apart. The pieces are views of the text that is given: it has to outlive them.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace haft {

// Space, tab, carriage return, form feed, vertical tab and newline.
inline constexpr std::string_view kBlanks = " \t\r\f\v\n";

// What is between separators: one piece more than there are separators. Of "" one, which is empty.
std::vector<std::string_view> Split(std::string_view text, char separator);

// What is before and after the first separator; without one, all of it and "".
std::pair<std::string_view, std::string_view> SplitOnce(std::string_view text, char separator);

// Takes from the front of `text` what is before the first separator, and the separator. Without
// one, all of it.
std::string_view TakeUntil(std::string_view& text, char separator);

// What ends with `end`, without it; the last line need not end so. Of "" none.
std::vector<std::string_view> Lines(std::string_view text, char end = '\n');
// The last line that is not empty, "" if there is none.
std::string_view LastLine(std::string_view text);

// What is between blanks; no word is empty.
std::vector<std::string_view> Words(std::string_view text, std::string_view blanks = kBlanks);

// The text without the blanks around it.
std::string_view Trim(std::string_view text, std::string_view blanks = kBlanks);

// All of the text as a number, without blanks, "+" or "0x". nullopt: it is something else, or too
// large for the type.
template <typename Number>
  requires std::integral<Number> || std::floating_point<Number>
std::optional<Number> ToNumber(std::string_view text, auto... base) {
  Number number = {};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base...);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "'a', 'b' and 30 more": what there is to choose from, at most 20 of them.
std::string Listed(std::span<const std::string_view> names);

}  // namespace haft
