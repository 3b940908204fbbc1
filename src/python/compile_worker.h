#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// The Python program that compiles sources (compile_worker.py).
std::span<const EmbeddedFile> CompileWorker();

}  // namespace haft
