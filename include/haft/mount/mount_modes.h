#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/base/step_clock.h"
#include "haft/image/image_reader.h"
#include "haft/mount/mount_settings.h"

namespace haft {

// Gives this process and all it starts the files of `reader`'s image, by the first mode that works,
// for as long as one of them lives; returns the directory they are in. That is `mount_point` on the
// first two modes, whose mount is private. Its last component is the bundle's name. `program` is
// the path of what will be run: the host's files that it needs are prefetched. A mode that failed
// leaves nothing behind, neither on the host nor in this process. REQUIRES: one thread.
Result<std::string> MountPrivately(const ImageReader& reader, const std::string& mount_point,
                                   const MountSettings& settings, const std::string& program,
                                   const StepClock& clock);

}  // namespace haft
