#pragma once

#include <chrono>

#include "haft/base/log.h"

namespace haft {

// Tells when something was done, as debug lines: "  1.234 ms  image opened", counted from
// construction.
class StepClock {
 public:
  template <typename... Args>
  void Step(fmt::format_string<Args...> format, Args&&... args) const {
    if (!LogEnabled(LogLevel::kDebug)) return;
    std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start_;
    LogLine(LogLevel::kDebug, fmt::format("{:8.3f} ms  {}", elapsed.count(),
                                          fmt::format(format, std::forward<Args>(args)...)));
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace haft
