#include "haft/python/shebang.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/python/python_flags.h"

namespace haft {
namespace {

constexpr std::string_view kBlanksInLine = " \t\r";

bool IsPython(std::string_view program) {
  const std::string_view name = BaseName(program);
  return name.starts_with("python") || name.starts_with("pypy");
}

}  // namespace

Shebang ParseShebang(std::string_view line) {
  if (line.starts_with("#!")) line.remove_prefix(2);
  const std::vector<std::string_view> words = Words(line, kBlanksInLine);
  Shebang shebang;
  auto word = words.begin();
  if (word != words.end() && BaseName(*word) == "env") {
    for (++word; word != words.end(); ++word) {
      if (!word->starts_with('-') && !word->contains('=')) break;
      if (*word != "-S") shebang.env_arguments.emplace_back(*word);
    }
  }
  if (word == words.end()) return shebang;
  shebang.program = *word;
  shebang.arguments.assign(word + 1, words.end());
  return shebang;
}

std::string ShebangOf(int fd) {
  std::array<std::byte, 4096> buffer;
  auto size = ReadUpTo(fd, buffer, 0);
  if (!size) return "";
  std::string_view text = AsText(std::span(buffer).first(*size));
  if (!text.starts_with("#!") || !text.contains('\n')) return "";
  return std::string(Trim(TakeUntil(text, '\n').substr(2), kBlanksInLine));
}

bool NamesPython(std::string_view text) {
  if (!text.starts_with("#!")) return false;
  const auto [line, rest] = SplitOnce(text, '\n');
  const std::string program = ParseShebang(line).program;
  if (IsPython(program)) return true;
  // An installer whose line would be too long for the kernel writes
  //     #!/bin/sh
  //     '''exec' "/a long/bin/python" "$0" "$@"
  //     ' '''
  // To Python the last two lines are a string.
  constexpr std::string_view kExec = "'''exec' ";
  if (BaseName(program) != "sh" || !rest.starts_with(kExec)) return false;
  std::string_view command = Trim(rest.substr(kExec.size()), kBlanksInLine);
  const bool quoted = command.starts_with('"');
  if (quoted) command.remove_prefix(1);
  return IsPython(SplitOnce(command, quoted ? '"' : ' ').first);
}

WantedPython PythonOf(std::string_view shebang) {
  Shebang parsed = ParseShebang(shebang);
  if (!IsPython(parsed.program)) return {};
  PythonFlags flags = KeepPythonFlags(parsed.arguments);
  return {.program = std::move(parsed.program),
          .arguments = std::move(flags.arguments),
          .ignore_environment = flags.ignore_environment};
}

Result<PythonRequest> ParsePythonRequest(std::string_view text) {
  if (text.starts_with("#!")) text.remove_prefix(2);
  if (text.contains('/') && ::access(std::string(text).c_str(), F_OK) == 0) {
    return PythonRequest{.interpreter = std::string(text), .flags = {}};
  }
  auto wrong = [&](std::string_view why) {
    return Failure(Error(ErrorKind::kUsage, fmt::format("python {}: {}", Quoted(text), why))
                       .Remedy("write it as in '/usr/bin/python3 -s' or '/usr/bin/env python3'"));
  };
  Shebang shebang = ParseShebang(text);
  if (!shebang.env_arguments.empty())
    return wrong("of env only -S can be taken over; --inject-env sets variables");
  if (shebang.program.empty()) return wrong("names no interpreter");
  return PythonRequest{.interpreter = std::move(shebang.program),
                       .flags = std::move(shebang.arguments)};
}

}  // namespace haft
