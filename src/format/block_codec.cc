#include "haft/format/block_codec.h"

#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

#include <cassert>
#include <cstring>
#include <memory>

#include "haft/format/digest.h"

namespace haft::format {
namespace {

const char* Chars(std::span<const std::byte> bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

Result<> DecodeBlock(const Block& block, std::span<const std::byte> stored,
                     std::span<std::byte> out) {
  assert(out.size() == block.raw_size);
  if (!HasDigest(stored, block.digest)) return Failure(Error::Corrupt("block digest is wrong"));
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
    case Codec::kZstd: {
      thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
      if (!context) return Failure(Error(ErrorKind::kSystem, "zstd: no memory", ENOMEM));
      std::size_t size =
          ZSTD_decompressDCtx(context.get(), out.data(), out.size(), stored.data(), stored.size());
      if (size == out.size()) return {};  // an error is a number beyond any size
      return Failure(Error::Corrupt("zstd block does not decode to its size"));
    }
  }
  return Failure(Error(ErrorKind::kUnsupported,
                       fmt::format("block codec {} is unknown", static_cast<int>(block.codec))));
}

}  // namespace haft::format
