#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace haft::cli {

// One line on standard error that shows how far a long step is; nothing unless that is a terminal.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  // wipes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // unit "bytes" is shown in MiB, anything else as a count.
  void Show(std::string_view step, std::uint64_t done, std::uint64_t total, std::string_view unit);

 private:
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace haft::cli
