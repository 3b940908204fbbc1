#pragma once

#include <cstdint>
#include <string>

#include "haft/base/error.h"

namespace haft::zip {

// Where the central directory of an archive lies: what its end records say, checked.
struct EndOfDirectory {
  std::uint64_t entry_count;
  std::uint64_t directory_offset;  // from the start of the file
  std::uint64_t directory_size;
  std::uint64_t base;  // offsets in the archive count from here
};

// The rules about end records of ZipDirectory. `file` is for messages.
Result<EndOfDirectory> FindEndOfDirectory(int fd, const std::string& file);

}  // namespace haft::zip
