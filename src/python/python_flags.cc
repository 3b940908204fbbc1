#include "haft/python/python_flags.h"

#include <fmt/format.h>

namespace haft {
namespace {

// Without a value; may follow each other in one word.
constexpr std::string_view kPlain = "bBdiOPqRsuv";
constexpr std::string_view kWithValue = "WX";

Error Refused(std::string_view word, std::string_view why) {
  return Error(ErrorKind::kUsage, fmt::format("python argument {}: {}", Quoted(word), why));
}

}  // namespace

Result<PythonFlags> ParsePythonFlags(const std::vector<std::string>& words) {
  PythonFlags flags;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (word.size() < 2 || word[0] != '-' || word[1] == '-') {
      return Failure(
          Refused(word, "is no option of Python").Remedy("-O, -s, -u, -W and -X are some"));
    }
    for (std::size_t j = 1; j < word.size(); ++j) {
      char c = word[j];
      if (c == 'E' || c == 'I') {
        flags.ignore_environment = true;
        if (c == 'I') flags.arguments.emplace_back("-s");
      } else if (kPlain.find(c) != kPlain.npos) {
        flags.arguments.push_back({'-', c});
      } else if (kWithValue.find(c) != kWithValue.npos) {
        std::string value(word.substr(j + 1));
        if (value.empty() && ++i < words.size()) value = words[i];
        if (value.empty()) return Failure(Refused(word, "its value is missing"));
        flags.arguments.push_back(fmt::format("-{}{}", c, value));
        break;
      } else if (c == 'S') {
        return Failure(Refused(word, "without site a bundle cannot start")
                           .Remedy("leave out -S; --isolated hides the host's packages"));
      } else if (c == 'c' || c == 'm') {
        return Failure(
            Refused(word, "the bundle says what Python runs").Remedy("use -e or -m of haft build"));
      } else {
        return Failure(Refused(word, fmt::format("-{} is not possible in a bundle", c)));
      }
    }
  }
  return flags;
}

PythonFlags KeepPythonFlags(const std::vector<std::string>& words) {
  PythonFlags flags;
  for (std::string_view word : words) {
    if (!word.starts_with('-') || word.starts_with("--")) {
      flags.arguments.emplace_back(word);
      continue;
    }
    std::string kept = "-";
    for (std::size_t i = 1; i < word.size(); ++i) {
      const char letter = word[i];
      if (kWithValue.contains(letter)) {  // the rest of the word, or the next one, is its value
        kept += word.substr(i);
        break;
      }
      if (letter != 'E' && letter != 'I') {
        kept += letter;
      } else {
        flags.ignore_environment = true;
        if (letter == 'I') kept += 's';
      }
    }
    if (kept != "-") flags.arguments.push_back(std::move(kept));
  }
  return flags;
}

}  // namespace haft
