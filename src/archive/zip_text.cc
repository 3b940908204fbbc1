#include "zip_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "haft/format/layout.h"

namespace haft::zip {

std::string EntryText(std::string_view file, std::string_view name, std::string_view why) {
  constexpr std::size_t kShown = 200;
  if (name.size() <= kShown)
    return fmt::format("{}: entry {}: {}", Quoted(file), Quoted(name), why);
  return fmt::format("{}: entry {}...: {}", Quoted(file), Quoted(name.substr(0, kShown)), why);
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    auto first = static_cast<unsigned char>(text[0]);
    std::size_t size = first < 0x80   ? 1
                       : first < 0xC2 ? 0
                       : first < 0xE0 ? 2
                       : first < 0xF0 ? 3
                       : first < 0xF5 ? 4
                                      : 0;
    if (size == 0 || size > text.size()) return false;
    for (std::size_t i = 1; i < size; ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return false;
    }
    if (size > 2) {
      auto second = static_cast<unsigned char>(text[1]);
      if (first == 0xE0 && second < 0xA0) return false;   // overlong
      if (first == 0xED && second >= 0xA0) return false;  // surrogate
      if (first == 0xF0 && second < 0x90) return false;   // overlong
      if (first == 0xF4 && second >= 0x90) return false;  // beyond U+10FFFF
    }
    text.remove_prefix(size);
  }
  return true;
}

std::string_view NameProblem(std::string_view name) {
  if (name.empty()) return "has an empty name";
  if (name.find('\0') != name.npos) return "has a zero byte in its name";
  if (name.front() == '/') return "has an absolute path";
  if (name.size() > format::kMaxPathSize) return "has a path longer than 4095 bytes";
  while (true) {
    std::string_view component = name.substr(0, name.find('/'));
    if (component.empty()) return "has an empty component in its path";
    if (component == ".") return "has '.' in its path";
    if (component == "..") return "has '..' in its path";
    if (component.size() > format::kMaxNameSize) return "has a name longer than 255 bytes";
    if (component.size() == name.size()) return "";
    name.remove_prefix(component.size() + 1);
  }
}

bool PathLess(std::string_view a, std::string_view b) {
  auto [end_a, end_b] = std::ranges::mismatch(a, b);
  if (end_b == b.end()) return false;
  if (end_a == a.end()) return true;
  if (*end_a == '/' || *end_b == '/') return *end_a == '/';
  return static_cast<unsigned char>(*end_a) < static_cast<unsigned char>(*end_b);
}

}  // namespace haft::zip
