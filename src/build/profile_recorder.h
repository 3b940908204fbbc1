#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// The Python program that records which files a start opens (profile_recorder.py).
std::span<const EmbeddedFile> ProfileRecorder();

}  // namespace haft
