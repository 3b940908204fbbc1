#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace haft::zip {

// XXH3-64, seed 0: whether bytes are what they were when they were read before. A digest would tell
// the same at a tenth of the speed; whoever could forge this owns the archive.
std::uint64_t Checksum(std::span<const std::byte> data);

}  // namespace haft::zip
