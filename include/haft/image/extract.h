#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "haft/base/error.h"
#include "haft/image/image_reader.h"

namespace haft {

// Copies the whole tree of an image (names, contents, holes, modes, times, symlinks) into a new
// directory. `directory` must not exist or be empty; it appears complete or not at all: the copy is
// made beside it under a temporary name and renamed. `progress` (bytes done) may be empty.
Result<> ExtractImage(const ImageReader& reader, const std::string& directory,
                      const std::function<void(std::uint64_t)>& progress);

// The same into an open, empty directory that nobody else writes to. Decodes with `workers` threads
// (0: one per CPU). After a failure the directory is half filled.
Result<> ExtractInto(const ImageReader& reader, int directory, unsigned workers,
                     const std::function<void(std::uint64_t)>& progress);

// Whether a directory holds every entry of the image with the type, size, time and link target it
// should have. Contents are not read.
bool IsExtractOf(const ImageReader& reader, int directory);

}  // namespace haft
