// Images that claim to be much larger than they are: neither memory nor time follows the claim.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/image/image_reader.h"
#include "haft/image/verify.h"
#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::ForgedImage;
using testing::MaxResidentKib;
using testing::MemoryFile;
using testing::Message;
using testing::OpenReader;
using testing::SampleImage;
using testing::ThreadSeconds;

constexpr unsigned kFiles = 20;
const char* const kNoise = "site-packages/noise";  // several stored blocks
const char* const kHoles = "site-packages/holes";

// 1 MB that claims to be a file of 13 TB: all its extents run over all blocks, which are all the
// same bytes.
TEST(HostileSizeTest, AHugeFileOfOneBlockCostsNoMemoryAndNoTime) {
  ForgedImage forged(SampleImage(kFiles));
  constexpr std::uint32_t kCount = 16'000;
  format::Block block = forged.BlockOf(kNoise);
  forged.blocks.assign(kCount, block);
  forged.extents.clear();
  std::uint64_t size = 0;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    forged.extents.push_back({.file_offset = size,
                              .length = std::uint64_t{kCount} * 4096,
                              .block = 0,
                              .block_offset = 0});
    size += std::uint64_t{kCount} * 4096;
  }
  forged.At(kNoise).first = 0;
  forged.At(kNoise).count = kCount;
  forged.At(kNoise).size = size;
  std::vector<std::byte> bytes = forged.Bytes();
  long resident = MaxResidentKib();
  double start = ThreadSeconds();
  ImageReader reader = OpenReader(bytes);
  DirectoryEntry huge = Expect(reader.Resolve(kNoise));
  EXPECT_EQ(huge.attributes.size, size);
  std::vector<std::byte> out(8192);
  EXPECT_EQ(Expect(reader.Read(huge.inode, size - 4096, out)), 4096u);
  EXPECT_EQ(Expect(reader.Read(huge.inode, size / 2 + 1, out)), 8192u);
  EXPECT_EQ(Expect(reader.Seek(huge.inode, 0, true)), size);
  VerifyReport report = Expect(VerifyBundle(MemoryFile(bytes), {}));
  EXPECT_FALSE(report.problems.empty());
  EXPECT_LT(ThreadSeconds() - start, 1.0);
  EXPECT_LT(MaxResidentKib() - resident, 64 * 1024);
}

// As many files as there are entries, all with the same extents: what one costs to list, to open,
// to read and to verify must not depend on how many extents it has.
TEST(HostileSizeTest, ExtentsSharedByManyFilesAreLookedAtOnce) {
  constexpr std::uint32_t kExtents = 200'000, kSharers = 2000;
  ForgedImage forged(testing::BuildImage(testing::SampleTree(kSharers)));
  const std::uint32_t block = forged.ExtentOf(kNoise).block;
  const std::uint64_t first = forged.extents.size();
  for (std::uint32_t i = 0; i < kExtents; ++i)
    forged.extents.push_back({i, 1, i % 2 == 0 ? format::kHoleBlock : block, 0});
  const format::Inode directory = forged.At("many");
  for (std::uint32_t i = 0; i < directory.count; ++i) {
    format::Inode& inode = forged.inodes[directory.first + i];
    inode.first = first;
    inode.count = kExtents - i % 3;
    inode.size = inode.count;
  }
  const std::vector<std::byte> bytes = forged.Bytes();
  double start = ThreadSeconds();
  ImageReader reader = OpenReader(bytes);
  const DirectoryEntry many = Expect(reader.Resolve("many"));
  std::vector<std::byte> out(1u << 20);
  for (std::uint32_t i = 0; i < directory.count; ++i) {
    const auto entry = Expect(reader.EntryAt(many.inode, i));
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->attributes.stored, entry->attributes.size);
    if (i % 100 == 0) {
      EXPECT_NE(Message(reader.Read(entry->inode, 0, out)), "");
    }
    EXPECT_EQ(Expect(reader.Read(entry->inode, kExtents / 2, std::span(out).first(100))), 100u);
    EXPECT_EQ(Expect(reader.Seek(entry->inode, kExtents / 2, true)), kExtents / 2);
  }
  const VerifyReport report = Expect(VerifyBundle(MemoryFile(bytes), {}));
  EXPECT_NE(report.problems.at(0).find("a read needs too many extents"), std::string::npos)
      << report.problems[0];
  EXPECT_LT(ThreadSeconds() - start, 2.0);
}

// A read may need little of many blocks, each of which has to be decoded.
TEST(HostileSizeTest, AReadDecodesNoMoreThanItMay) {
  constexpr std::uint32_t kBlocks = 400, kBlockBytes = 1u << 20;
  Tree tree;
  for (std::uint32_t i = 0; i < 16; ++i) {
    const std::string text(kBlockBytes, static_cast<char>('a' + i));
    ASSERT_EQ(Message(tree.AddText(fmt::format("f{:02}", i), text)), "");
  }
  ForgedImage forged(testing::BuildImage(
      tree,
      {.block_size = kBlockBytes, .compression = Compression::kLz4, .workers = 1, .progress = {}}));
  ASSERT_EQ(forged.blocks.size(), 16u);
  const std::uint64_t first = forged.extents.size();
  for (std::uint32_t i = 0; i < kBlocks; ++i) forged.extents.push_back({i, 1, i % 16, 0});
  format::Inode& victim = forged.At("f00");
  victim.first = first;
  victim.count = kBlocks;
  victim.size = kBlocks;
  const std::vector<std::byte> bytes = forged.Bytes();
  ImageReader reader = OpenReader(MemoryFile(bytes), 4u << 20);
  const DirectoryEntry entry = Expect(reader.Resolve("f00"));
  std::vector<std::byte> out(kBlocks);
  EXPECT_NE(Message(reader.Read(entry.inode, 0, out)).find("needs too many other bytes"),
            std::string::npos);
  EXPECT_LE(reader.cache().counters().misses, 9u);
  const VerifyReport report = Expect(VerifyBundle(MemoryFile(bytes), {}));
  EXPECT_NE(report.problems.at(0).find("a read needs too many extents or blocks"),
            std::string::npos)
      << report.problems[0];
}

TEST(HostileSizeTest, TwoHolesInARowAreOne) {
  ForgedImage forged(SampleImage(kFiles));
  format::Inode& holes = forged.At(kHoles);
  const std::uint64_t first = forged.extents.size();
  forged.extents.push_back({0, 1000, format::kHoleBlock, 0});
  forged.extents.push_back({1000, holes.size - 1000, format::kHoleBlock, 0});
  holes.first = first;
  holes.count = 2;
  const std::vector<std::byte> bytes = forged.Bytes();
  ImageReader reader = OpenReader(bytes);
  const DirectoryEntry entry = Expect(reader.Resolve(kHoles));
  std::vector<std::byte> out(100);
  EXPECT_NE(Message(reader.Read(entry.inode, 0, out)), "");
  const VerifyReport report = Expect(VerifyBundle(MemoryFile(bytes), {}));
  EXPECT_NE(report.problems.at(0).find("two holes in a row"), std::string::npos);
}

// A sparse file that claims a large program, index or padding: verify must not try to hold it in
// memory.
TEST(HostileSizeTest, SectionsOfManyGigabytesCostNoMemory) {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 31;
  ForgedImage forged(SampleImage(kFiles));
  forged.edit_trailer = [](format::Trailer& t) { t.runtime_size = kHuge; };
  std::vector<std::byte> bytes = forged.Bytes();
  UniqueFd file = MemoryFile({});
  ASSERT_EQ(Message(WriteAllAt(file.get(), bytes, kHuge)), "");
  ASSERT_EQ(Message(ImageReader::Open(UniqueFd(::dup(file.get())))), "");
  long resident = MaxResidentKib();
  VerifyReport report = Expect(VerifyBundle(std::move(file), {}));
  EXPECT_FALSE(report.problems.empty());
  EXPECT_LT(MaxResidentKib() - resident, 64 * 1024);
}

TEST(HostileSizeTest, APathLongerThanAnyPathIsNamed) {
  Tree tree;
  std::string path;
  ForgedImage forged(testing::BuildImage(tree));
  // 100,000 directories inside each other.
  format::Inode dir = forged.inodes[0];
  forged.inodes[0].first = 1;
  forged.inodes[0].count = 1;
  forged.inodes[0].links = 3;
  dir.name_offset = forged.AddString("d");
  dir.name_size = 1;
  for (std::uint32_t row = 1; row <= 100'000; ++row) {
    bool last = row == 100'000;
    dir.parent = row - 1;
    dir.first = last ? 0 : row + 1;
    dir.count = last ? 0 : 1;
    dir.links = last ? 2 : 3;
    forged.inodes.push_back(dir);
  }
  double start = ThreadSeconds();
  VerifyReport report = Expect(VerifyBundle(MemoryFile(forged.Bytes()), {}));
  ASSERT_FALSE(report.problems.empty());
  EXPECT_NE(report.problems[0].find("path"), std::string::npos) << report.problems[0];
  EXPECT_LT(ThreadSeconds() - start, 2.0);
}

}  // namespace
}  // namespace haft
