#pragma once

#include <array>
#include <string>
#include <string_view>

#include "haft/base/error.h"

namespace haft {

// The ways to give a program the files of its image, in the order they are tried. The last one is
// the one that always works: kModeCount counts up to it.
enum class Mode {
  kNamespace,   // root: a mount in a private mount namespace
  kFusermount,  // ordinary user: a mount on a directory of the host, made by the setuid helper
  kUserns,      // a private mount inside a user namespace of the program's own
  kExtract,     // no FUSE: unpacked into a private directory
};
inline constexpr std::size_t kModeCount = static_cast<std::size_t>(Mode::kExtract) + 1;

std::string_view ModeName(Mode mode);

// Which modes HAFT_MODE lets a start try: "" all, "userns" only that one, "!namespace" all but that
// one; several are separated by commas.
class AllowedModes {
 public:
  static Result<AllowedModes> Parse(std::string_view text);
  bool Allows(Mode mode) const { return allowed_[static_cast<std::size_t>(mode)]; }
  // Whether it was named, not only left over.
  bool Names(Mode mode) const { return named_[static_cast<std::size_t>(mode)]; }

 private:
  static constexpr std::array<bool, kModeCount> All() {
    std::array<bool, kModeCount> all;
    all.fill(true);
    return all;
  }

  std::array<bool, kModeCount> allowed_ = All();
  std::array<bool, kModeCount> named_ = {};
};

}  // namespace haft
