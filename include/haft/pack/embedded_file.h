// Python programs that are part of haft.
#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// The Python modules every bundle carries in .haft/py.
std::span<const EmbeddedFile> BootstrapFiles();

// Those of a bundle that serves, there as well.
std::span<const EmbeddedFile> ServeFiles();

// The static program that starts what --bundle-python puts into an image.
std::span<const EmbeddedFile> Launcher();

// The program that compiles Python sources.
std::span<const EmbeddedFile> CompileWorker();

// The program that records which files a start opens.
std::span<const EmbeddedFile> ProfileRecorder();

}  // namespace haft
