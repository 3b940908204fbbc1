#include "haft/base/log.h"

#include <unistd.h>

#include <array>
#include <string>

namespace haft {
namespace {

std::string log_name = "haft";
constexpr std::size_t kMaxLine = 8192;  // of one write, without memory from elsewhere

LogLevel log_level = LogLevel::kWarning;

}  // namespace

void SetLogName(std::string_view name) {
  log_name = name;
}
void SetLogLevel(LogLevel level) {
  log_level = level;
}
bool LogEnabled(LogLevel level) {
  return level <= log_level;
}

void LogLine(LogLevel level, std::string_view line) {
  if (!LogEnabled(level)) return;
  std::array<char, kMaxLine> text;
  auto end = fmt::format_to_n(text.data(), text.size() - 1, "{}: {}", log_name, line).out;
  *end++ = '\n';
  // Nothing sensible is left to do if standard error cannot be written.
  [[maybe_unused]] ssize_t written =
      ::write(STDERR_FILENO, text.data(), static_cast<std::size_t>(end - text.data()));
}

}  // namespace haft
