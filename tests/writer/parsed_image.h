#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "haft/format/block_codec.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "haft/format/manifest.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft::testing {

// Takes an image apart by the tables of docs/format.md, independently of ImageReader.
class ParsedImage {
 public:
  explicit ParsedImage(std::vector<std::byte> image) : bytes_(std::move(image)) {
    UniqueFd file = MemoryFile(bytes_);
    bundle_ = Expect(format::LocateImage(file.get()));
    EXPECT_EQ(bundle_.image_offset, 0u);
    manifest_text = Expect(format::ReadManifestText(file.get(), bundle_));
    const std::uint64_t index = trailer().index_offset;
    inodes = Table<format::Inode>(index, trailer().inode_count);
    extents = Table<format::Extent>(index + bundle_.extents_offset(), trailer().extent_count);
    blocks = Table<format::Block>(index + bundle_.blocks_offset(), trailer().block_count);
    strings =
        AsText(std::span(bytes_).subspan(index + bundle_.strings_offset(), trailer().string_size));
    chunks = Table<format::Digest>(trailer().security_offset, bundle_.chunk_count());
    CheckChunks(index);
  }

  const format::Trailer& trailer() const { return bundle_.trailer; }
  const format::BundleFile& bundle() const { return bundle_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  std::string_view Name(const format::Inode& inode) const {
    return strings.substr(inode.name_offset, inode.name_size);
  }
  std::string Path(std::size_t row) const {
    if (row == 0) return "";
    std::string parent = Path(inodes[row].parent);
    return parent.empty() ? std::string(Name(inodes[row]))
                          : parent + "/" + std::string(Name(inodes[row]));
  }
  const format::Inode& At(std::string_view path) const {
    for (std::size_t row = 0; row < inodes.size(); ++row) {
      if (Path(row) == path) return inodes[row];
    }
    ADD_FAILURE() << path << " is not in the image";
    return inodes[0];
  }
  std::span<const format::Extent> ExtentsOf(const format::Inode& inode) const {
    return std::span(extents).subspan(inode.first, inode.count);
  }
  std::string Decode(const format::Block& block) const {
    std::vector<std::byte> raw(block.raw_size);
    auto stored = std::span(bytes_).subspan(block.offset, block.stored_size);
    EXPECT_EQ(Message(format::DecodeBlock(block, stored, raw)), "");
    return std::string(AsText(raw));
  }
  std::string Contents(const format::Inode& inode) const {
    std::string text;
    for (const format::Extent& extent : ExtentsOf(inode)) {
      EXPECT_EQ(extent.file_offset, text.size());
      if (extent.block == format::kHoleBlock) {
        text.append(extent.length, '\0');
        continue;
      }
      std::string run;
      for (std::uint32_t number = extent.block; run.size() < extent.block_offset + extent.length;
           ++number) {
        run += Decode(blocks.at(number));
      }
      text += run.substr(extent.block_offset, extent.length);
    }
    return text;
  }

  std::vector<format::Inode> inodes;
  std::vector<format::Extent> extents;
  std::vector<format::Block> blocks;
  std::string_view strings;
  std::vector<format::Digest> chunks;
  std::string manifest_text;

 private:
  template <typename Record>
  std::vector<Record> Table(std::uint64_t offset, std::uint64_t count) const {
    std::vector<Record> records(count);
    if (count != 0) std::memcpy(records.data(), bytes_.data() + offset, count * sizeof(Record));
    return records;
  }

  void CheckChunks(std::uint64_t index) const {
    std::uint64_t end = bundle_.index_size();
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      std::uint64_t begin = i * format::kChunkSize;
      auto chunk = std::span(bytes_).subspan(
          index + begin, std::min<std::uint64_t>(format::kChunkSize, end - begin));
      EXPECT_EQ(chunks[i], format::Sha256Of(chunk)) << "chunk " << i;
    }
    EXPECT_EQ(trailer().chunk_table_digest, format::Sha256Of(std::as_bytes(std::span(chunks))));
  }

  std::vector<std::byte> bytes_;
  format::BundleFile bundle_{};
};

}  // namespace haft::testing
