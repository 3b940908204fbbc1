#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// The static program that starts what --bundle-python puts into an image (src/launcher).
std::span<const EmbeddedFile> Launcher();

}  // namespace haft
