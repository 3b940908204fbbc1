#include "checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace haft::zip {

std::uint64_t Checksum(std::span<const std::byte> data) {
  return XXH3_64bits(data.data(), data.size());
}

}  // namespace haft::zip
