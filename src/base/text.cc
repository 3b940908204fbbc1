#include "haft/base/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "haft/base/error.h"

namespace haft {

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  for (bool more = true; more;) {
    const std::string_view piece = text.substr(0, text.find(separator));
    more = piece.size() < text.size();
    pieces.push_back(piece);
    if (more) text.remove_prefix(piece.size() + 1);
  }
  return pieces;
}

std::pair<std::string_view, std::string_view> SplitOnce(std::string_view text, char separator) {
  const std::string_view before = TakeUntil(text, separator);
  return {before, text};
}

std::string_view TakeUntil(std::string_view& text, char separator) {
  const std::string_view piece = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), piece.size() + 1));
  return piece;
}

std::vector<std::string_view> Lines(std::string_view text, char end) {
  std::vector<std::string_view> lines;
  while (!text.empty()) lines.push_back(TakeUntil(text, end));
  return lines;
}

std::string_view LastLine(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text.substr(text.rfind('\n') + 1);  // npos + 1 == 0
}

std::vector<std::string_view> Words(std::string_view text, std::string_view blanks) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == text.npos) return words;
    text.remove_prefix(begin);
    words.push_back(text.substr(0, text.find_first_of(blanks)));
    text.remove_prefix(words.back().size());
  }
}

std::string_view Trim(std::string_view text, std::string_view blanks) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::size_t Utf8CharacterSize(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xF0 && lead <= 0xF4  ? 4
                           : lead >= 0xE0 && lead < 0xF0 ? 3
                           : lead >= 0xC2 && lead < 0xE0 ? 2
                                                         : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;   // overlong
  if (lead == 0xED && byte(1) >= 0xA0) return 0;  // surrogate
  if (lead == 0xF0 && byte(1) < 0x90) return 0;   // overlong
  if (lead == 0xF4 && byte(1) >= 0x90) return 0;  // beyond U+10FFFF
  return size;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = Utf8CharacterSize(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string Listed(std::span<const std::string_view> names) {
  constexpr std::size_t kMost = 20;
  std::string list;
  for (std::string_view name : names.first(std::min(kMost, names.size()))) {
    list += (list.empty() ? "" : ", ") + Quoted(name);
  }
  if (names.size() > kMost) list += fmt::format(" and {} more", names.size() - kMost);
  return list;
}

}  // namespace haft
