#include "haft/base/log.h"

#include <unistd.h>

#include <string>

namespace haft {
namespace {

std::string log_name = "haft";
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
  std::string text = fmt::format("{}: {}\n", log_name, line);
  // Nothing sensible is left to do if standard error cannot be written.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace haft
