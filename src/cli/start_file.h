// Files that are started: bundles, and archives of other makers that become ones in memory.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/launch/environment.h"
#include "haft/start/start.h"

namespace haft::cli {

// An image that can be mounted for a start, with haft's own files in it. Of an archive only the
// index is made, in memory; its entries are decoded when they are read. `environment` is what a
// start takes its overrides from: variables of shiv and pex become those of haft.
Result<StartImage> OpenForStart(const std::string& path, Environment& environment);

// Directories of the image with programs in them, in the order of the manifest's paths.
std::vector<std::string> ProgramDirectories(const StartImage& image);

}  // namespace haft::cli
