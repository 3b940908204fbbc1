// A start from main() to exec: what a bundle does when it is executed, and haft run, exec and shell
// with any file.
#pragma once

#include <functional>
#include <string>

#include "haft/base/error.h"
#include "haft/format/manifest.h"
#include "haft/image/image_reader.h"
#include "haft/launch/environment.h"
#include "haft/launch/program.h"

namespace haft {

// What is started.
struct StartImage {
  ImageReader reader;
  format::Manifest manifest;
  std::string path;  // of the file, absolute; "" if it has none (any more)
};

// A start's two choices. `name` is what messages call it, as the user typed it.
struct StartPlan {
  std::string name;
  // `environment` is that of this process, and then what `make_program` gets.
  std::function<Result<StartImage>(Environment& environment)> open;
  // Called before anything is mounted, and once more with another manifest.mount if the files had
  // to be put elsewhere; paths below it exist when the program is executed.
  std::function<Result<Program>(const StartImage& image, Environment environment)> make_program;
};

// Gives this process the image's files (see MountPrivately) and becomes the program. HAFT_MODE and
// HAFT_LOG steer it. Returns only if that fails, after it has said why, with the exit status: 125,
// 126, 127. REQUIRES: one thread.
int Start(const StartPlan& plan);

// The last step alone: executes the program, or says why there is none.
int Become(const std::string& name, Result<Program> program);

// Nothing we open may become standard input, output or error: the program finds them closed, as we
// did. For the first line of a main().
void ReserveStandardDescriptors();

// HAFT_LOG=debug. Any other value is told to be unknown.
void SetLogLevelFromEnvironment();

}  // namespace haft
