// haft build --from: what other tools and earlier builds have made, as the input of a build.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/build/build.h"

namespace haft::cli {

// `path` is an archive of shiv, pex or zipapp, a wheel, any other zip (its root is a site-packages
// directory), a virtual environment, or a bundle of haft.
Result<ImportedInput> ImportInput(const std::string& path);

}  // namespace haft::cli
