#include "output.h"

#include <fmt/format.h>
#include <unistd.h>

#include "haft/base/file_io.h"

namespace haft::cli {

Result<> Print(std::string_view text) {
  TRY_WITHIN("standard output", WriteAll(STDOUT_FILENO, AsBytes(text)));
  return {};
}

std::string ShownSize(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} bytes", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace haft::cli
