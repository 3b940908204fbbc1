// SHA-256: what bytes are named by. Nobody can make other bytes with the same digest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "haft/format/layout.h"

namespace haft::format {

Digest Sha256Of(std::span<const std::byte> data);

// The same of what comes in pieces.
class Sha256 {
 public:
  Sha256();
  void Update(std::span<const std::byte> data);
  Digest Finish() const;  // of what came so far

 private:
  alignas(8) std::array<std::byte, 112> state_;
};

// Whether these are the bytes with that digest. Always in fuzz builds: else hardly any input would
// get past it.
bool HasDigest(std::span<const std::byte> data, const Digest& digest);

// Of a record whose last member is the digest of the others.
template <typename Record>
std::span<const std::byte> BeforeDigest(const Record& record) {
  return std::as_bytes(std::span(&record, 1)).first(sizeof(Record) - sizeof(Digest));
}

// 64 lower-case hexadecimal digits.
std::string ToHex(const Digest& digest);

// What is signed of an image: two lines that name its root.
std::string RootMessage(const Digest& root);

// How much of it a table shows: enough to tell images of one host apart.
inline constexpr std::size_t kShownDigits = 12;

}  // namespace haft::format
