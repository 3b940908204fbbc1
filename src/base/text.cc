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
