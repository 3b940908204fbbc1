#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// The Python modules in .haft/py of a bundle that serves a web application (src/web/python).
std::span<const EmbeddedFile> ServeFiles();

}  // namespace haft
