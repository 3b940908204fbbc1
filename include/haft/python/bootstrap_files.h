#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// The Python modules every bundle carries in .haft/py (src/python/bootstrap).
std::span<const EmbeddedFile> BootstrapFiles();

}  // namespace haft
