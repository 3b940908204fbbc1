// Files that are part of haft itself, put into the program when it is built (tools/embed.py).
#pragma once

#include <span>
#include <string_view>

namespace haft {

struct EmbeddedFile {
  std::string_view name;
  std::string_view bytes;
};

// The Python modules every bundle carries in .haft/py.
std::span<const EmbeddedFile> BootstrapFiles();

// The static program that starts what --bundle-python puts into an image.
std::span<const EmbeddedFile> Launcher();

// The program that compiles Python sources.
std::span<const EmbeddedFile> CompileWorker();

// The program that records which files a start opens.
std::span<const EmbeddedFile> ProfileRecorder();

}  // namespace haft
