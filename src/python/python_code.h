#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// What Python gets with -c, from files of these names.
std::span<const EmbeddedFile> RunPip();
std::span<const EmbeddedFile> FindModule();

}  // namespace haft
