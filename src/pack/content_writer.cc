#include "haft/pack/content_writer.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <memory>
#include <utility>

#include "haft/base/parallel.h"
#include "haft/format/block_codec.h"
#include "haft/format/checksum.h"

namespace haft {
namespace {

// A stretch of a content, and where it lies in the decoded block.
struct Piece {
  ContentId content;
  std::uint64_t file_offset;
  std::uint64_t length;
  std::uint32_t block_offset;
};

// What a job hands to the writing thread: a block and the pieces in it, or a hole.
struct Output {
  std::vector<Piece> pieces;
  std::uint32_t raw_size = 0;  // 0: a hole of one piece
  std::uint64_t checksum = 0;
  format::EncodedBlock block = {};
};

bool AllZero(std::span<const std::byte> bytes) {
  // Comparing the bytes with themselves, shifted by one, lets memcmp do the work and stop early.
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Output Encode(std::vector<Piece> pieces, std::span<const std::byte> raw, format::Codec codec, format::Effort effort) {
  Output output{.pieces = std::move(pieces),
                .raw_size = static_cast<std::uint32_t>(raw.size()),
                .block = format::EncodeBlock(raw, codec, effort)};
  output.checksum = format::Checksum(output.block.stored);
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
    tables_.ranges.resize(plan.contents().size() + plan.parts().size());
  }

  Result<ContentTables> Run(unsigned workers) {
    OrderedPool<Output> pool(workers, 4 * std::size_t{workers} + 4,
                             [this](Output output) { return Consume(std::move(output)); });
    BlockPlanner planner(plan_, policy_.block_size, policy_.hot_block_size);
    while (std::optional<PlannedBlocks> planned = planner.Next()) {
      if (planned->size > SizeFor(planned->contents.front())) {
        TRY(SubmitLarge(pool, planned->contents.front()));
      } else {
        TRY(pool.Submit([this, blocks = *std::move(planned)] { return ReadShared(blocks); }));
      }
    }
    TRY(pool.Finish());
    for (std::size_t i = 0; i < plan_.parts().size(); ++i) AddPart(i);
    return std::move(tables_);
  }

 private:
  // Worker: small files, one after another in one block.
  Result<Output> ReadShared(const PlannedBlocks& planned) const {
    std::vector<std::byte> raw(planned.size);
    std::vector<Piece> pieces;
    std::uint32_t position = 0;
    for (ContentId id : planned.contents) {
      const TreeNode::File& file = *plan_.contents()[id];
      FileReader reader = TRY(FileReader::Open(file.source, file.size));
      TRY(reader.Read(0, std::span(raw).subspan(position, file.size)));
      pieces.push_back({id, 0, file.size, position});
      position += static_cast<std::uint32_t>(file.size);
    }
    return Encode(std::move(pieces), raw, CodecFor(planned.contents.front()), policy_.effort);
  }

  bool IsHot(ContentId id) const { return id < plan_.hot_count(); }
  std::uint32_t SizeFor(ContentId id) const {
    if (!IsHot(id)) return policy_.block_size;
    return plan_.HasParts(id) && policy_.whole_block_size != 0 ? policy_.whole_block_size : policy_.hot_block_size;
  }
  format::Codec CodecFor(ContentId id) const { return IsHot(id) ? policy_.hot_codec : policy_.codec; }

  // Worker: one block of a large file.
  Result<Output> ReadPiece(const FileReader& reader, Piece piece) const {
    std::vector<std::byte> raw(piece.length);
    TRY(reader.Read(piece.file_offset, raw));
    if (AllZero(raw)) return Output{.pieces = {piece}};
    return Encode({piece}, raw, CodecFor(piece.content), policy_.effort);
  }

  Result<> SubmitLarge(OrderedPool<Output>& pool, ContentId id) {
    const TreeNode::File& file = *plan_.contents()[id];
    const std::uint32_t size = SizeFor(id);
    auto reader = std::make_shared<const FileReader>(TRY(FileReader::Open(file.source, file.size)));
    for (std::uint64_t offset = 0; offset < file.size;) {
      // Whole pieces in front of the next data need not be read: they are a hole.
      std::uint64_t data = reader->NextData(offset);
      std::uint64_t hole_end = data == file.size ? data : data / size * size;
      if (hole_end > offset) {
        Piece hole{id, offset, hole_end - offset, 0};
        TRY(pool.Submit([hole]() -> Result<Output> { return Output{.pieces = {hole}}; }));
        offset = hole_end;
        continue;
      }
      Piece piece{id, offset, std::min<std::uint64_t>(size, file.size - offset), 0};
      TRY(pool.Submit([this, reader, piece] { return ReadPiece(*reader, piece); }));
      offset += piece.length;
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
           .checksum = output.checksum,
           .codec = output.block.codec,
           .reserved = {}});
      TRY(sink_.Append(output.block.stored));
    }
    for (const Piece& piece : output.pieces) {
      AddExtent(piece, number);
      done_ += piece.length;
    }
    if (progress_) progress_(done_);
    return {};
  }

  // Pieces of one content come in order and not mixed with others, so its extents are neighbours.
  void AddExtent(const Piece& piece, std::uint32_t block) {
    ExtentRange& range = tables_.ranges[piece.content];
    if (range.count == 0) {
      range.first = tables_.extents.size();
    } else if (ContinuesLast(piece.content, block)) {
      tables_.extents.back().length += piece.length;
      return;
    }
    tables_.extents.push_back({piece.file_offset, piece.length, block, piece.block_offset});
    ++range.count;
  }

  // A part gets extents of its own, which point into the blocks of the whole.
  void AddPart(std::size_t number) {
    const ContentPart& part = plan_.parts()[number];
    const ExtentRange whole = tables_.ranges[*plan_.ContentOf(*part.whole)];
    ExtentRange& range = tables_.ranges[plan_.contents().size() + number];
    range.first = tables_.extents.size();
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
             .block = hole ? extent.block : extent.block + static_cast<std::uint32_t>(inside / block_size_),
             .block_offset = hole ? 0 : static_cast<std::uint32_t>(inside % block_size_)});
        ++range.count;
        position += length;
      }
    }
  }

  // Whether a piece in `block` belongs to the extent written last, both being of the same content.
  bool ContinuesLast(ContentId content, std::uint32_t block) const {
    const format::Extent& last = tables_.extents.back();
    if (block == format::kHoleBlock || last.block == format::kHoleBlock) return block == last.block;
    if (SizeFor(content) != block_size_) return false;  // a run has blocks of the image's size
    assert(last.length % block_size_ == 0);  // only a file's last piece is shorter
    return block == last.block + last.length / block_size_;
  }

  const ContentPlan& plan_;
  const BlockPolicy policy_;
  const std::uint32_t block_size_;
  const std::uint64_t image_start_;
  ByteSink& sink_;
  const std::function<void(std::uint64_t)>& progress_;
  ContentTables tables_;
  std::uint64_t done_ = 0;
};

}  // namespace

Result<ContentTables> WriteContents(const ContentPlan& plan, const BlockPolicy& policy,
                                    unsigned workers, std::uint64_t image_start, ByteSink& sink,
                                    const std::function<void(std::uint64_t done)>& progress) {
  return ContentWriter(plan, policy, image_start, sink, progress).Run(workers);
}

}  // namespace haft
