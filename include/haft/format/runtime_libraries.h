// Which libraries are inside the program in front of an image, so that after a fault in one of them
// the bundles to build anew can be found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "haft/base/error.h"

namespace haft::format {

// An ELF note in that program. `text` holds "NAME VERSION;" for each library.
template <std::size_t kSize>
struct LibrariesNote {
  static_assert(kSize % 4 == 0);
  std::uint32_t name_size = 5;
  std::uint32_t text_size = kSize;
  std::uint32_t type = 1;
  char name[8] = "haft";
  char text[kSize] = {};
};

// Name and version of each, in the order of the note; none if there is no such note. `runtime_size`
// is the trailer's.
Result<std::vector<std::pair<std::string, std::string>>> ReadRuntimeLibraries(
    int fd, std::uint64_t runtime_size);

}  // namespace haft::format
