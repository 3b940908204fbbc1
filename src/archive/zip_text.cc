#include "zip_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "haft/base/text.h"
#include "haft/format/layout.h"

namespace haft::zip {

std::string EntryText(std::string_view file, std::string_view name, std::string_view why) {
  constexpr std::size_t kShown = 200;
  if (name.size() <= kShown)
    return fmt::format("{}: entry {}: {}", Quoted(file), Quoted(name), why);
  return fmt::format("{}: entry {}...: {}", Quoted(file), Quoted(name.substr(0, kShown)), why);
}

std::string_view NameProblem(std::string_view name) {
  if (name.empty()) return "has an empty name";
  if (name.find('\0') != name.npos) return "has a zero byte in its name";
  if (name.front() == '/') return "has an absolute path";
  if (name.size() > format::kMaxPathSize) return "has a path longer than 4095 bytes";
  for (std::string_view component : Split(name, '/')) {
    if (component.empty()) return "has an empty component in its path";
    if (component == ".") return "has '.' in its path";
    if (component == "..") return "has '..' in its path";
    if (component.size() > format::kMaxNameSize) return "has a name longer than 255 bytes";
  }
  return "";
}

bool PathLess(std::string_view a, std::string_view b) {
  auto [end_a, end_b] = std::ranges::mismatch(a, b);
  if (end_b == b.end()) return false;
  if (end_a == a.end()) return true;
  if (*end_a == '/' || *end_b == '/') return *end_a == '/';
  return static_cast<unsigned char>(*end_a) < static_cast<unsigned char>(*end_b);
}

}  // namespace haft::zip
