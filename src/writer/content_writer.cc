#include "haft/writer/content_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "haft/base/parallel.h"
#include "haft/format/block_codec.h"
#include "haft/format/digest.h"
#include "haft/format/limits.h"

namespace haft {
namespace {

// Where a slice lies in the decoded block.
struct PlacedSlice {
  ContentSlice slice;
  std::uint32_t block_offset;
};

// What a job hands to the writing thread: a block and the slices in it, or a hole.
struct Output {
  std::vector<PlacedSlice> slices;
  std::uint32_t raw_size = 0;  // 0: a hole of one slice
  format::Digest digest = {};
  format::EncodedBlock block = {};
};

bool AllZero(std::span<const std::byte> bytes) {
  // Comparing the bytes with themselves, shifted by one, lets memcmp do the work and stop early.
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Output Encode(std::vector<PlacedSlice> slices, std::span<const std::byte> raw, format::Codec codec,
              format::Effort effort) {
  Output output{.slices = std::move(slices),
                .raw_size = static_cast<std::uint32_t>(raw.size()),
                .block = format::EncodeBlock(raw, codec, effort)};
  output.digest = format::Sha256Of(output.block.stored);
  return output;
}

class ContentWriter {
 public:
  ContentWriter(const ContentPlan& plan, const BlockPolicy& policy, std::uint64_t image_start,
                ByteSink& sink, const std::function<void(std::uint64_t)>& progress)
      : plan_(plan),
        policy_(policy),
        block_size_(policy.block_size),
        image_start_(image_start),
        sink_(sink),
        progress_(progress) {
    tables_.rows.resize(plan.contents().size() + plan.parts().size());
    for (const ContentSlice& slice : plan.slices()) {
      if (slice.size != plan.contents()[slice.content]->size) split_.try_emplace(slice.content);
    }
  }

  Result<ContentTables> Run(unsigned workers) {
    OrderedPool<Output> pool(workers, 4 * std::size_t{workers} + 4,
                             [this](Output output) { return Consume(std::move(output)); });
    BlockPlanner planner(plan_, policy_.block_size, policy_.hot_block_size);
    while (std::optional<PlannedBlocks> planned = planner.Next()) {
      if (planned->size > SizeFor(planned->slices.front().content, planned->hot)) {
        TRY(SubmitLarge(pool, planned->slices.front(), planned->hot));
      } else {
        TRY(pool.Submit([this, blocks = *std::move(planned)] { return ReadShared(blocks); }));
      }
    }
    TRY(pool.Finish());
    AddSplit();
    for (std::size_t i = 0; i < plan_.parts().size(); ++i) AddPart(i);
    TRY(CheckReads());
    return std::move(tables_);
  }

 private:
  // Worker: small slices, one after another in one block.
  Result<Output> ReadShared(const PlannedBlocks& planned) const {
    std::vector<std::byte> raw(planned.size);
    std::vector<PlacedSlice> slices;
    std::uint32_t position = 0;
    for (const ContentSlice& slice : planned.slices) {
      const TreeNode::File& file = *plan_.contents()[slice.content];
      FileReader reader = TRY(FileReader::Open(file.source, file.size));
      TRY(reader.Read(slice.offset, std::span(raw).subspan(position, slice.size)));
      slices.push_back({slice, position});
      position += static_cast<std::uint32_t>(slice.size);
    }
    return Encode(std::move(slices), raw, CodecFor(planned.hot), policy_.effort);
  }

  std::uint32_t SizeFor(ContentId id, bool hot) const {
    if (!hot) return policy_.block_size;
    return plan_.HasParts(id) && policy_.whole_block_size != 0 ? policy_.whole_block_size
                                                               : policy_.hot_block_size;
  }
  format::Codec CodecFor(bool hot) const { return hot ? policy_.hot_codec : policy_.codec; }

  // Worker: one block of a large slice.
  Result<Output> ReadSlice(const FileReader& reader, const ContentSlice& slice, bool hot) const {
    std::vector<std::byte> raw(slice.size);
    TRY(reader.Read(slice.offset, raw));
    if (AllZero(raw)) return Output{.slices = {{slice, 0}}};
    return Encode({{slice, 0}}, raw, CodecFor(hot), policy_.effort);
  }

  Result<> SubmitLarge(OrderedPool<Output>& pool, const ContentSlice& slice, bool hot) {
    const TreeNode::File& file = *plan_.contents()[slice.content];
    const std::uint32_t size = SizeFor(slice.content, hot);
    auto reader = std::make_shared<const FileReader>(TRY(FileReader::Open(file.source, file.size)));
    const std::uint64_t end = slice.offset + slice.size;
    for (std::uint64_t offset = slice.offset; offset < end;) {
      // Whole blocks in front of the next data need not be read: they are a hole.
      const std::uint64_t data = std::min(reader->NextData(offset), end);
      const std::uint64_t hole = data == end ? end - offset : (data - offset) / size * size;
      if (hole > 0) {
        const ContentSlice zeros{slice.content, offset, hole};
        TRY(pool.Submit([zeros]() -> Result<Output> { return Output{.slices = {{zeros, 0}}}; }));
        offset += hole;
        continue;
      }
      const ContentSlice block{slice.content, offset, std::min<std::uint64_t>(size, end - offset)};
      TRY(pool.Submit([this, reader, block, hot] { return ReadSlice(*reader, block, hot); }));
      offset += block.size;
    }
    return {};
  }

  Result<> Consume(Output output) {
    std::uint32_t number = format::kHoleBlock;
    if (output.raw_size != 0) {
      if (tables_.blocks.size() == format::kMaxBlocks) {
        return Failure(Error(ErrorKind::kUnsupported, "more than 2^32 - 2 blocks"));
      }
      number = static_cast<std::uint32_t>(tables_.blocks.size());
      tables_.blocks.push_back(
          {.offset = sink_.size() - image_start_,
           .stored_size = static_cast<std::uint32_t>(output.block.stored.size()),
           .raw_size = output.raw_size,
           .digest = output.digest,
           .codec = output.block.codec,
           .reserved = {}});
      TRY(sink_.Append(output.block.stored));
    }
    for (const PlacedSlice& placed : output.slices) {
      AddExtent(placed, number);
      done_ += placed.slice.size;
    }
    if (progress_) progress_(done_);
    return {};
  }

  // Slices of one content come in order and not mixed with others, so its extents are neighbours;
  // those of a content in several slices are put together in the end.
  void AddExtent(const PlacedSlice& placed, std::uint32_t block) {
    const ContentSlice& slice = placed.slice;
    const format::Extent extent{slice.offset, slice.size, block, placed.block_offset};
    if (auto split = split_.find(slice.content); split != split_.end()) {
      if (split->second.empty() || !Continues(split->second.back(), extent))
        split->second.push_back(extent);
      return;
    }
    ExtentRows& rows = tables_.rows[slice.content];
    if (rows.count == 0) {
      rows.first = tables_.extents.size();
    } else if (Continues(tables_.extents.back(), extent)) {
      return;
    }
    tables_.extents.push_back(extent);
    ++rows.count;
  }

  void AddSplit() {
    for (auto& [content, extents] : split_) {
      std::ranges::sort(extents, {}, &format::Extent::file_offset);
      ExtentRows& rows = tables_.rows[content];
      rows = {tables_.extents.size(), 1};
      tables_.extents.push_back(extents.front());
      for (const format::Extent& extent : std::span(extents).subspan(1)) {
        if (Continues(tables_.extents.back(), extent)) continue;
        tables_.extents.push_back(extent);
        ++rows.count;
      }
    }
  }

  // A part gets extents of its own, which point into the blocks of the whole.
  void AddPart(std::size_t number) {
    const ContentPart& part = plan_.parts()[number];
    const ExtentRows whole = tables_.rows[*plan_.ContentOf(*part.whole)];
    ExtentRows& rows = tables_.rows[plan_.contents().size() + number];
    rows.first = tables_.extents.size();
    const std::uint64_t end = part.offset + part.file->size;
    for (std::uint64_t i = whole.first; i < whole.first + whole.count; ++i) {
      const format::Extent extent = tables_.extents[i];
      std::uint64_t position = std::max(extent.file_offset, part.offset);
      const std::uint64_t extent_end = std::min(extent.file_offset + extent.length, end);
      while (position < extent_end) {
        // One extent per block: only a run that starts with its block may go on into the next.
        const std::uint64_t inside = extent.block_offset + position - extent.file_offset;
        const bool hole = extent.block == format::kHoleBlock;
        std::uint64_t length = extent_end - position;
        if (!hole) length = std::min(length, block_size_ - inside % block_size_);
        tables_.extents.push_back(
            {.file_offset = position - part.offset,
             .length = length,
             .block = hole ? extent.block
                           : extent.block + static_cast<std::uint32_t>(inside / block_size_),
             .block_offset = hole ? 0 : static_cast<std::uint32_t>(inside % block_size_)});
        ++rows.count;
        position += length;
      }
    }
  }

  // A reader refuses files whose reads cost too much.
  Result<> CheckReads() const {
    format::ReadCost cost([this](std::uint32_t block) { return tables_.blocks[block].raw_size; },
                          block_size_);
    for (std::size_t i = 0; i < tables_.rows.size(); ++i) {
      const std::size_t contents = plan_.contents().size();
      const TreeNode::File& file =
          i < contents ? *plan_.contents()[i] : *plan_.parts()[i - contents].file;
      const ExtentRows& rows = tables_.rows[i];
      cost.Reset();
      for (std::uint64_t extent = rows.first; extent < rows.first + rows.count; ++extent) {
        if (cost.Add(tables_.extents[extent])) continue;
        return Failure(
            Error(ErrorKind::kUnsupported, fmt::format("{}: the profile has too many ranges of it",
                                                       Quoted(file.source.origin())))
                .Remedy("build with larger blocks, or without this profile"));
      }
    }
    return {};
  }

  // Lengthens `last` by `next`, both of the same content, if the two are one extent: holes, or a
  // run of blocks of the image's size.
  bool Continues(format::Extent& last, const format::Extent& next) const {
    if (last.file_offset + last.length != next.file_offset) return false;
    const bool holes = last.block == format::kHoleBlock && next.block == format::kHoleBlock;
    const bool run = last.block != format::kHoleBlock && last.block_offset == 0 &&
                     next.block_offset == 0 && last.length % block_size_ == 0 &&
                     next.block == last.block + last.length / block_size_;
    if (holes || run) last.length += next.length;
    return holes || run;
  }

  const ContentPlan& plan_;
  const BlockPolicy policy_;
  const std::uint32_t block_size_;
  const std::uint64_t image_start_;
  ByteSink& sink_;
  const std::function<void(std::uint64_t)>& progress_;
  ContentTables tables_;
  std::map<ContentId, std::vector<format::Extent>> split_;  // of contents in several slices
  std::uint64_t done_ = 0;
};

}  // namespace

Result<ContentTables> WriteContents(const ContentPlan& plan, const BlockPolicy& policy,
                                    unsigned workers, std::uint64_t image_start, ByteSink& sink,
                                    const std::function<void(std::uint64_t done)>& progress) {
  return ContentWriter(plan, policy, image_start, sink, progress).Run(workers);
}

}  // namespace haft
