#include "haft/format/entry.h"

#include <fmt/format.h>

namespace haft::format {

std::string Describe(const Entry& entry) {
  std::string target;
  switch (entry.kind) {
    case EntryKind::kNone:
      return "none";
    case EntryKind::kInterpreter:
      return "the interpreter";
    case EntryKind::kModule:
      target = "-m " + entry.module;
      break;
    case EntryKind::kFunction:
      target = fmt::format("{}:{}", entry.module, entry.function);
      break;
    case EntryKind::kScript:
      target = entry.file;
      break;
  }
  return entry.script.empty() ? target : fmt::format("{} ({})", entry.script, target);
}

bool IsDottedName(std::string_view text) {
  bool start = true;
  for (char c : text) {
    if (c == '.') {
      if (start) return false;
      start = true;
      continue;
    }
    bool digit = c >= '0' && c <= '9';
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                  static_cast<unsigned char>(c) >= 0x80;
    if (!letter && (!digit || start)) return false;
    start = false;
  }
  return !start;
}

bool IsImagePath(std::string_view path) {
  if (path.empty() || path.find('\0') != path.npos) return false;
  for (bool more = true; more;) {
    std::size_t slash = path.find('/');
    std::string_view component = path.substr(0, slash);
    if (component.empty() || component == "." || component == "..") return false;
    more = slash != path.npos;
    if (more) path.remove_prefix(slash + 1);
  }
  return true;
}

Result<Entry> ParseFunctionEntry(std::string_view text, std::string_view what) {
  std::size_t colon = text.find(':');
  if (colon == text.npos || !IsDottedName(text.substr(0, colon)) ||
      !IsDottedName(text.substr(colon + 1))) {
    return Failure(Error::Invalid(fmt::format("{}: {} is not MODULE:FUNCTION", what, Quoted(text)))
                       .Remedy("write it as in 'package.module:main'"));
  }
  return Entry{.kind = EntryKind::kFunction,
               .module = std::string(text.substr(0, colon)),
               .function = std::string(text.substr(colon + 1)),
               .script = ""};
}

Result<Entry> ParseModuleEntry(std::string_view text, std::string_view what) {
  if (!IsDottedName(text)) {
    return Failure(
        Error::Invalid(fmt::format("{}: {} is not the name of a module", what, Quoted(text)))
            .Remedy("write it as in 'http.server'"));
  }
  return Entry{
      .kind = EntryKind::kModule, .module = std::string(text), .function = "", .script = ""};
}

}  // namespace haft::format
