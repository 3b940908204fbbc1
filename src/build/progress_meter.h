#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "haft/build/build_options.h"

namespace haft {

// Passes on what the steps report, but not more often than people can read.
class ProgressMeter {
 public:
  ProgressMeter(const std::function<void(const BuildProgress&)>& callback, std::string_view step,
                std::string_view unit)
      : callback_(callback), step_(step), unit_(unit) {}

  void Update(std::uint64_t done, std::uint64_t total) {
    done_ = done;
    total_ = total;
    auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return;
    last_ = now;
    Report();
  }
  // The step is complete.
  void Finish() { Report(); }

 private:
  void Report() const {
    if (callback_) callback_({.step = step_, .done = done_, .total = total_, .unit = unit_});
  }

  const std::function<void(const BuildProgress&)>& callback_;
  std::string_view step_, unit_;
  std::uint64_t done_ = 0, total_ = 0;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace haft
