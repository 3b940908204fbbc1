#include "progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace haft::cli {
namespace {

constexpr std::uint64_t kWidth = 30;

void Write(std::string_view text) {
  [[maybe_unused]] ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

ProgressBar::ProgressBar() : terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (shown_) Write("\r\x1b[K");
}

void ProgressBar::Show(std::string_view step, std::uint64_t done, std::uint64_t total,
                       std::string_view unit) {
  auto now = std::chrono::steady_clock::now();
  if (!terminal_ || (shown_ && done < total && now - last_ < std::chrono::milliseconds(50))) return;
  last_ = now;
  shown_ = true;
  done = std::min(done, total);
  std::uint64_t filled = total == 0 ? kWidth : done * kWidth / total;
  std::string amount = unit == "bytes" ? fmt::format("{} of {} MiB", done >> 20, total >> 20)
                                       : fmt::format("{} of {} {}", done, total, unit);
  Write(fmt::format("\r\x1b[K{:<9} [{:#<{}}{:.<{}}] {}", step, "", filled, "", kWidth - filled,
                    amount));
}

}  // namespace haft::cli
