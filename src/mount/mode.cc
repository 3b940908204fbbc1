#include "haft/mount/mode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "haft/base/text.h"

namespace haft {
namespace {

// By the numbers of enum Mode.
constexpr auto kNames =
    std::to_array<std::string_view>({"namespace", "fusermount", "userns", "extract"});
static_assert(kNames.size() == kModeCount, "every mode has a name");

}  // namespace

std::string_view ModeName(Mode mode) {
  return kNames[static_cast<std::size_t>(mode)];
}

Result<AllowedModes> AllowedModes::Parse(std::string_view text) {
  AllowedModes modes;
  bool first_positive = true;
  while (!text.empty()) {
    std::string_view word = TakeUntil(text, ',');
    bool forbid = word.starts_with('!');
    if (forbid) word.remove_prefix(1);
    auto found = std::ranges::find(kNames, word);
    if (found == kNames.end()) {
      return Failure(Error::Invalid(fmt::format("HAFT_MODE: unknown mode {}", Quoted(word)))
                         .Remedy(fmt::format("known are {}", fmt::join(kNames, ", "))));
    }
    if (!forbid && std::exchange(first_positive, false)) modes.allowed_.fill(false);
    auto index = static_cast<std::size_t>(found - kNames.begin());
    modes.allowed_[index] = modes.named_[index] = !forbid;
  }
  return modes;
}

}  // namespace haft
