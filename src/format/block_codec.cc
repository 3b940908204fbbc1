#include "haft/format/block_codec.h"

#include <fmt/format.h>
#include <lz4.h>
#include <lz4hc.h>

#include <cassert>
#include <cstring>

#include "haft/format/checksum.h"

namespace haft::format {
namespace {

constexpr int kCompressionLevel = LZ4HC_CLEVEL_OPT_MIN;

const char* Chars(std::span<const std::byte> bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

}  // namespace

EncodedBlock EncodeBlock(std::span<const std::byte> raw) {
  assert(!raw.empty() && raw.size() <= kMaxBlockSize);
  auto raw_size = static_cast<int>(raw.size());
  std::vector<std::byte> out(static_cast<std::size_t>(LZ4_compressBound(raw_size)));
  int size = LZ4_compress_HC(Chars(raw), reinterpret_cast<char*>(out.data()), raw_size,
                             static_cast<int>(out.size()), kCompressionLevel);
  if (size <= 0 || static_cast<std::size_t>(size) > raw.size() - raw.size() / 20 - 1) {
    return {Codec::kStored, {raw.begin(), raw.end()}};
  }
  out.resize(static_cast<std::size_t>(size));
  return {Codec::kLz4, std::move(out)};
}

Result<> DecodeBlock(const Block& block, std::span<const std::byte> stored,
                     std::span<std::byte> out) {
  assert(out.size() == block.raw_size);
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (Checksum(stored) != block.checksum) return Failure(Error::Corrupt("block checksum is wrong"));
#endif
  switch (block.codec) {
    case Codec::kStored:
      if (stored.size() != out.size()) return Failure(Error::Corrupt("stored block has two sizes"));
      if (stored.data() != out.data()) std::memcpy(out.data(), stored.data(), out.size());
      return {};
    case Codec::kLz4: {
      int size = LZ4_decompress_safe(Chars(stored), reinterpret_cast<char*>(out.data()),
                                     static_cast<int>(stored.size()), static_cast<int>(out.size()));
      if (size == static_cast<int>(out.size())) return {};
      return Failure(Error::Corrupt("lz4 block does not decode to its size"));
    }
  }
  return Failure(Error(ErrorKind::kUnsupported,
                       fmt::format("block codec {} is unknown", static_cast<int>(block.codec))));
}

}  // namespace haft::format
