// Diagnostics: one write(2) per line to standard error, prefixed with the program's name.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace haft {

enum class LogLevel { kError, kWarning, kDebug };

// Both are meant for main(): set once, before threads exist. Defaults: "haft", kWarning.
void SetLogName(std::string_view name);
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);

void LogLine(LogLevel level, std::string_view line);

template <typename... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace haft
