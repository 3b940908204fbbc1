// Encoding only: apart from block_codec.cc, so that the runtime, which only decodes, does not link
// the compressors.
#include <lz4.h>
#include <lz4hc.h>
#include <zstd.h>

#include <cassert>
#include <memory>

#include "haft/format/block_codec.h"

namespace haft::format {
namespace {

// Level 10 takes twice the time and saves nothing to speak of.
constexpr int kLz4Level = LZ4HC_CLEVEL_DEFAULT;
// The highest level that takes no more time than lz4hc by much; see docs/decisions/0015-codecs.md.
constexpr int kZstdLevel = 12;

struct ZstdParameter {
  ZSTD_cParameter name;
  int value;
};
// Made for blocks of 1 MiB: within 1 % of level 18, smaller than level 17, in less time than
// level 16.
constexpr ZstdParameter kThoroughZstd[] = {
    {ZSTD_c_windowLog, 20},        {ZSTD_c_hashLog, 20}, {ZSTD_c_chainLog, 20},
    {ZSTD_c_searchLog, 4},         {ZSTD_c_minMatch, 3}, {ZSTD_c_targetLength, 64},
    {ZSTD_c_strategy, ZSTD_btopt},
};

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

// The size of the result in `out`; 0 if it does not fit.
std::size_t CompressLz4(std::span<const std::byte> raw, std::span<std::byte> out) {
  int size = LZ4_compress_HC(reinterpret_cast<const char*>(raw.data()),
                             reinterpret_cast<char*>(out.data()), static_cast<int>(raw.size()),
                             static_cast<int>(out.size()), kLz4Level);
  return size <= 0 ? 0 : static_cast<std::size_t>(size);
}

std::size_t CompressZstd(std::span<const std::byte> raw, std::span<std::byte> out, Effort effort) {
  thread_local std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (!context) return 0;
  // Blocks have a checksum and a size of their own.
  ZSTD_CCtx_reset(context.get(), ZSTD_reset_parameters);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kZstdLevel);
  if (effort == Effort::kThorough) {
    for (const ZstdParameter& parameter : kThoroughZstd)
      ZSTD_CCtx_setParameter(context.get(), parameter.name, parameter.value);
  }
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 0);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0);
  std::size_t size = ZSTD_compress2(context.get(), out.data(), out.size(), raw.data(), raw.size());
  return ZSTD_isError(size) != 0 ? 0 : size;
}

}  // namespace

EncodedBlock EncodeBlock(std::span<const std::byte> raw, Codec codec, Effort effort) {
  assert(!raw.empty() && raw.size() <= kMaxBlockSize);
  const std::size_t most =
      raw.size() - raw.size() / 20 - 1;  // 5 % less, or it is not worth a decode
  if (codec != Codec::kStored && most > 0) {
    std::vector<std::byte> out(most);
    std::size_t size =
        codec == Codec::kLz4 ? CompressLz4(raw, out) : CompressZstd(raw, out, effort);
    if (size > 0) {
      out.resize(size);
      out.shrink_to_fit();
      return {codec, std::move(out)};
    }
  }
  return {Codec::kStored, {raw.begin(), raw.end()}};
}

}  // namespace haft::format
