#include "haft/format/checksum.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <cstring>

namespace haft::format {

std::uint64_t Checksum(std::span<const std::byte> data) {
  return XXH3_64bits(data.data(), data.size());
}

struct Hasher64::State {
  XXH3_state_t xxh;
};

Hasher64::Hasher64() : state_(new State) {
  XXH3_64bits_reset(&state_->xxh);
}
Hasher64::~Hasher64() {
  delete state_;
}
void Hasher64::Update(std::span<const std::byte> data) {
  XXH3_64bits_update(&state_->xxh, data.data(), data.size());
}
std::uint64_t Hasher64::Finish() const {
  return XXH3_64bits_digest(&state_->xxh);
}

struct Hasher128::State {
  XXH3_state_t xxh;
};

Hasher128::Hasher128() : state_(new State) {
  XXH3_128bits_reset(&state_->xxh);
}
Hasher128::~Hasher128() {
  delete state_;
}
void Hasher128::Update(std::span<const std::byte> data) {
  XXH3_128bits_update(&state_->xxh, data.data(), data.size());
}

ImageId Hasher128::Finish() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state_->xxh));
  ImageId id;
  static_assert(sizeof canonical.digest == sizeof id);
  std::memcpy(id.data(), canonical.digest, sizeof id);
  return id;
}

std::string ToHex(const ImageId& id) {
  return fmt::format("{:02x}", fmt::join(id, ""));
}

}  // namespace haft::format
