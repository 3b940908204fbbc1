#pragma once

#include <array>
#include <string>
#include <string_view>

#include "haft/base/error.h"
#include "haft/base/step_clock.h"
#include "haft/image/image_reader.h"

namespace haft {

// The ways to mount for a start, in the order they are tried.
enum class Rung {
  kNamespace,  // root: a private mount namespace
  kUserns,     // ordinary user: the same inside a user namespace of its own
};

std::string_view RungName(Rung rung);

// Which rungs HAFT_MODE lets a start try: "" all, "userns" only that one, "!namespace" all but that one;
// several are separated by commas.
class Modes {
 public:
  static Result<Modes> Parse(std::string_view text);
  bool Allows(Rung rung) const { return allowed_[static_cast<std::size_t>(rung)]; }

 private:
  std::array<bool, 2> allowed_ = {true, true};
};

// Moves this process into a private mount namespace in which `reader`'s image is mounted on `mount_point`, served by a
// detached process. The mount ends with the last process in the namespace. After a failure the process
// may be in new namespaces and should end. REQUIRES: one thread.
Result<> MountPrivately(ImageReader reader, const std::string& mount_point, const Modes& modes,
                        const StepClock& clock);

}  // namespace haft
