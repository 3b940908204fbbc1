// Python that the build runs in the interpreter of a bundle.
#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// Records which files a start opens (profile_recorder.py).
std::span<const EmbeddedFile> ProfileRecorder();
// Follows import statements (import_follower.py).
std::span<const EmbeddedFile> ImportFollower();

}  // namespace haft
