#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "haft/base/error.h"
#include "haft/image/image_reader.h"

namespace haft {

// Copies the whole tree of an image (names, contents, holes, modes, times, symlinks) into a new directory.
// `directory` must not exist or be empty; it appears complete or not at all: the copy is made beside it under a temporary
// name and renamed. `progress` (bytes done) may be empty.
Result<> ExtractImage(const ImageReader& reader, const std::string& directory,
                      const std::function<void(std::uint64_t)>& progress);

}  // namespace haft
