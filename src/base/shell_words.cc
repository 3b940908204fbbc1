#include "haft/base/shell_words.h"

#include <fmt/format.h>

#include <utility>

namespace haft {

Result<std::vector<std::string>> ShellWords(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Error(ErrorKind::kUsage, fmt::format("{}: {}", Quoted(text), why));
  };
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\\' && quote != '\'') {
      if (++i == text.size()) return Failure(bad("ends in a backslash"));
      word += text[i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) return Failure(bad("a quote is not closed"));
  if (in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace haft
