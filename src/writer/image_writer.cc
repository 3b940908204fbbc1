#include "haft/writer/image_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string>

#include "haft/base/file_io.h"
#include "haft/base/parallel.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "haft/format/limits.h"
#include "haft/writer/content_plan.h"
#include "haft/writer/content_writer.h"
#include "index_writer.h"

namespace haft {
namespace {

template <typename Record>
std::span<const std::byte> BytesOf(const Record& record) {
  return std::as_bytes(std::span(&record, 1));
}

format::Header MakeHeader(const format::Trailer& trailer) {
  format::Header header{.magic = format::kHeaderMagic,
                        .major = format::kMajor,
                        .minor = format::kMinor,
                        .image_size = trailer.image_size,
                        .runtime_size = trailer.runtime_size};
  header.digest = format::Sha256Of(format::BeforeDigest(header));
  return header;
}

bool UsesZstd(const ContentTables& tables) {
  return std::ranges::any_of(tables.blocks,
                             [](const auto& block) { return block.codec == format::Codec::kZstd; });
}

// Bytes of contents that are compressed thoroughly: about two seconds more on two cores.
constexpr std::uint64_t kThoroughSize = 48u << 20;

BlockPolicy PolicyFor(const ImageOptions& options) {
  using format::Codec;
  const std::uint32_t size = options.block_size, large = std::max(size, format::kMaxBlockSize);
  switch (options.compression) {
    case Compression::kAuto:
      return {.block_size = large,
              .hot_block_size = size,
              .whole_block_size = std::min(large, 4 * size),
              .codec = Codec::kZstd,
              .hot_codec = Codec::kLz4};
    case Compression::kZstd:
      return {.block_size = large,
              .hot_block_size = size,
              .codec = Codec::kZstd,
              .hot_codec = Codec::kZstd};
    case Compression::kLz4:
      return {.block_size = size,
              .hot_block_size = size,
              .codec = Codec::kLz4,
              .hot_codec = Codec::kLz4};
    case Compression::kNone:
      break;
  }
  return {.block_size = size,
          .hot_block_size = size,
          .codec = Codec::kStored,
          .hot_codec = Codec::kStored};
}

// What a reader would refuse is not written.
Result<> CheckSizes(const format::Trailer& trailer, std::uint64_t manifest, std::uint64_t profile) {
  auto check = [](std::string_view what, std::uint64_t size, std::uint64_t limit) -> Result<> {
    if (size <= limit) return {};
    return Failure(Error::Invalid(
        fmt::format("the {} has {} bytes, at most {} are possible", what, size, limit)));
  };
  const format::BundleFile bundle{.trailer = trailer, .image_offset = 0};
  TRY(check("index", bundle.index_size(), format::kMaxIndexSize));
  TRY(check("manifest", manifest, format::kMaxManifestSize));
  return check("profile", profile, format::kMaxProfileSize);
}

// Everything behind the blocks, and the header.
Result<ImageSummary> FinishImage(const Tree& tree, const ContentPlan& plan,
                                 const ContentTables& tables, const format::Manifest& manifest,
                                 const ImageOptions& options, std::uint32_t block_size,
                                 std::uint64_t start, ByteSink& sink) {
  auto position = [&] { return sink.size() - start; };
  format::Trailer trailer{.magic = format::kTrailerMagic,
                          .major = format::kMajor,
                          .minor = format::kMinor,
                          .trailer_size = sizeof(format::Trailer),
                          .incompatible = UsesZstd(tables) ? format::kZstdBlocks : 0,
                          .runtime_size = options.runtime_size,
                          .signature_size = format::kSignatureAreaSize,
                          .file_count = plan.file_count(),
                          .content_size = plan.content_size(),
                          .block_size = block_size,
                          .chunk_size = format::kChunkSize,
                          .hash = format::kSha256,
                          .runtime_digest = options.runtime_digest};

  TRY(PadTo(sink, start, format::kAlignment));

  trailer.index_offset = position();
  const IndexSummary index = TRY(WriteIndex(tree, plan, tables, sink));
  trailer.inode_count = index.inode_count;
  trailer.extent_count = tables.extents.size();
  trailer.block_count = tables.blocks.size();
  trailer.string_size = index.string_size;
  auto chunk_digests = std::as_bytes(std::span(index.chunk_digests));
  trailer.chunk_table_digest = format::Sha256Of(chunk_digests);

  const std::string json = format::ToJson(manifest);
  TRY(CheckSizes(trailer, json.size(), options.profile.size()));
  trailer.manifest_offset = position();
  trailer.manifest_size = json.size();
  trailer.manifest_digest = format::Sha256Of(AsBytes(json));
  TRY(sink.Append(AsBytes(json)));
  trailer.profile_offset = position();
  trailer.profile_size = options.profile.size();
  trailer.profile_digest = format::Sha256Of(AsBytes(options.profile));
  TRY(sink.Append(AsBytes(options.profile)));

  TRY(PadTo(sink, start, 8));
  trailer.security_offset = position();
  TRY(sink.Append(chunk_digests));
  TRY(sink.Append(std::array<std::byte, format::kSignatureAreaSize>{}));
  trailer.image_size = position() + sizeof trailer;
  trailer.root = format::Sha256Of(format::BeforeDigest(trailer));
  TRY(sink.Append(BytesOf(trailer)));
  TRY(sink.Patch(start, BytesOf(MakeHeader(trailer))));
  return ImageSummary{.root = trailer.root,
                      .image_size = trailer.image_size,
                      .file_count = trailer.file_count,
                      .content_size = trailer.content_size};
}

}  // namespace

Result<ImageSummary> WriteImage(const Tree& tree, const format::Manifest& manifest,
                                const ImageOptions& options, ByteSink& sink) {
  assert(tree.root().directory() != nullptr);
  const std::uint64_t start = sink.size();
  const unsigned workers = WorkerCount(options.workers);

  const ContentPlan plan = TRY(ContentPlan::Make(tree, options.layout, workers));
  std::function<void(std::uint64_t)> progress;
  if (options.progress) {
    progress = [&](std::uint64_t done) { options.progress(done, plan.unique_size()); };
  }
  TRY(sink.Append(BytesOf(format::Header{})));  // patched when everything is known
  BlockPolicy policy = PolicyFor(options);
  if (plan.unique_size() <= kThoroughSize) policy.effort = format::Effort::kThorough;
  const ContentTables tables = TRY(WriteContents(plan, policy, workers, start, sink, progress));
  return FinishImage(tree, plan, tables, manifest, options, policy.block_size, start, sink);
}

Result<ImageSummary> WriteImageWithoutBlocks(const Tree& tree, const ContentPlan& plan,
                                             const ContentTables& tables,
                                             const format::Manifest& manifest,
                                             const ImageOptions& options, ByteSink& sink) {
  const std::uint64_t start = sink.size();
  TRY(sink.Append(BytesOf(format::Header{})));
  return FinishImage(tree, plan, tables, manifest, options, options.block_size, start, sink);
}

}  // namespace haft
