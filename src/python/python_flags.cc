#include "haft/python/python_flags.h"

#include <fmt/format.h>
#include <unistd.h>

namespace haft {
namespace {

constexpr std::string_view kPlain =
    "bBdiOPqRsuv";  // without a value; may follow each other in one word
constexpr std::string_view kWithValue = "WX";

Error Refused(std::string_view word, std::string_view why) {
  return Error(ErrorKind::kUsage, fmt::format("python argument {}: {}", Quoted(word), why));
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  constexpr std::string_view kSpace = " \t";
  for (;;) {
    std::size_t begin = text.find_first_not_of(kSpace);
    if (begin == text.npos) return words;
    text.remove_prefix(begin);
    words.emplace_back(text.substr(0, text.find_first_of(kSpace)));
    text.remove_prefix(words.back().size());
  }
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

Result<PythonRequest> ParsePythonRequest(std::string_view text) {
  if (text.starts_with("#!")) text.remove_prefix(2);
  if (text.find('/') != text.npos && ::access(std::string(text).c_str(), F_OK) == 0) {
    return PythonRequest{.interpreter = std::string(text), .flags = {}};
  }
  std::vector<std::string> words = Words(text);
  auto wrong = [&](std::string_view why) {
    return Failure(Error(ErrorKind::kUsage, fmt::format("python {}: {}", Quoted(text), why))
                       .Remedy("write it as in '/usr/bin/python3 -s' or '/usr/bin/env python3'"));
  };
  if (words.empty()) return wrong("names no interpreter");
  std::size_t first = 0;
  if (words[0] == "env" || words[0].ends_with("/env")) {
    first = 1;
    while (first < words.size() && words[first] == "-S") ++first;
    if (first == words.size()) return wrong("names no interpreter");
    if (words[first].starts_with('-') || words[first].find('=') != std::string::npos) {
      return wrong("of env only -S can be taken over; --inject-env sets variables");
    }
  }
  return PythonRequest{
      .interpreter = words[first],
      .flags = {words.begin() + static_cast<std::ptrdiff_t>(first) + 1, words.end()}};
}

}  // namespace haft
