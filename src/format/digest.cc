#include "haft/format/digest.h"

// The functions with a state of their own. OpenSSL 3 prefers EVP, which brings 2 MB along.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fmt/format.h>
#include <openssl/sha.h>

#include <cstring>

namespace haft::format {
namespace {

SHA256_CTX Load(const std::array<std::byte, 112>& state) {
  SHA256_CTX context;
  static_assert(sizeof context == sizeof state);
  std::memcpy(&context, state.data(), sizeof context);
  return context;
}

}  // namespace

Sha256::Sha256() {
  SHA256_CTX context;
  SHA256_Init(&context);
  std::memcpy(state_.data(), &context, sizeof context);
}

void Sha256::Update(std::span<const std::byte> data) {
  SHA256_CTX context = Load(state_);
  SHA256_Update(&context, data.data(), data.size());
  std::memcpy(state_.data(), &context, sizeof context);
}

Digest Sha256::Finish() const {
  SHA256_CTX context = Load(state_);
  Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}

Digest Sha256Of(std::span<const std::byte> data) {
  Sha256 hasher;
  hasher.Update(data);
  return hasher.Finish();
}

bool HasDigest([[maybe_unused]] std::span<const std::byte> data,
               [[maybe_unused]] const Digest& digest) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  return true;
#else
  return Sha256Of(data) == digest;
#endif
}

std::string ToHex(const Digest& digest) {
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

std::string RootMessage(const Digest& root) {
  return fmt::format("haft-root-v1\nsha256:{}\n", ToHex(root));
}

}  // namespace haft::format
