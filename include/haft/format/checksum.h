#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "haft/format/layout.h"

namespace haft::format {

// XXH3-64, seed 0.
std::uint64_t Checksum(std::span<const std::byte> data);

// The same of what comes in pieces.
class Hasher64 {
 public:
  Hasher64();
  ~Hasher64();
  Hasher64(const Hasher64&) = delete;
  Hasher64& operator=(const Hasher64&) = delete;
  void Update(std::span<const std::byte> data);
  std::uint64_t Finish() const;

 private:
  struct State;
  State* state_;
};

// XXH3-128 of several spans one after another; also used to find identical files.
class Hasher128 {
 public:
  Hasher128();
  ~Hasher128();
  Hasher128(const Hasher128&) = delete;
  Hasher128& operator=(const Hasher128&) = delete;
  void Update(std::span<const std::byte> data);
  ImageId Finish() const;  // canonical (big-endian) form

 private:
  struct State;
  State* state_;
};

// 32 lower-case hexadecimal digits.
std::string ToHex(const ImageId& id);

}  // namespace haft::format
