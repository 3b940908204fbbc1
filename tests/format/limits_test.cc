#include "haft/format/limits.h"

#include <gtest/gtest.h>

#include <vector>

namespace haft::format {
namespace {

constexpr std::uint32_t kBlockSize = 1u << 20;

// The number of the first extent that costs too much; the number of all: none does.
std::size_t Refused(const std::vector<Extent>& extents, std::uint32_t raw_size = 4096) {
  ReadCost cost([&](std::uint32_t) { return raw_size; }, kBlockSize);
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (!cost.Add(extents[i])) return i;
  }
  return extents.size();
}

// Of `length` bytes each, alternating between a hole and block 0.
std::vector<Extent> Alternating(std::size_t count, std::uint64_t length) {
  std::vector<Extent> extents;
  for (std::size_t i = 0; i < count; ++i)
    extents.push_back({i * length, length, i % 2 == 0 ? kHoleBlock : 0, 0});
  return extents;
}

TEST(ReadCostTest, ExtentsOfOneReadAreCounted) {
  EXPECT_EQ(Refused(Alternating(5000, 4096)), 5000u) << "what haft build makes of 4 KiB pieces";
  EXPECT_EQ(Refused(Alternating(5000, 1)), kMaxReadExtents);
  EXPECT_EQ(Refused(Alternating(5000, 1024)), kMaxReadExtents);
  EXPECT_EQ(Refused(Alternating(kMaxReadExtents, 1)), kMaxReadExtents);
}

TEST(ReadCostTest, OnlyWhatOneReadNeedsTogetherCounts) {
  // Clusters of as many as may be, far apart.
  std::vector<Extent> extents;
  std::uint64_t offset = 0;
  for (int cluster = 0; cluster < 4; ++cluster) {
    for (std::uint32_t i = 0; i + 2 < kMaxReadExtents; ++i, ++offset)
      extents.push_back({offset, 1, i % 2 == 0 ? 0 : kHoleBlock, 0});
    extents.push_back({offset, kReadUnit, kHoleBlock, 0});
    offset += kReadUnit;
  }
  EXPECT_EQ(Refused(extents), extents.size());
}

TEST(ReadCostTest, BytesOfDifferentBlocksAreCounted) {
  std::vector<Extent> same, different;
  for (std::uint32_t i = 0; i < 100; ++i) {
    same.push_back({i * std::uint64_t{4096}, 4096, i % 4, 0});
    different.push_back({i * std::uint64_t{4096}, 4096, i, 0});
  }
  EXPECT_EQ(Refused(same, kBlockSize), same.size());
  EXPECT_EQ(Refused(different, kBlockSize), 7u) << "8 MiB with what is read";
  EXPECT_EQ(Refused(different, 4096), different.size());
}

TEST(ReadCostTest, AFileInWholeBlocksCostsWhatIsRead) {
  EXPECT_EQ(
      Refused({{0, std::uint64_t{1} << 40, 7, 0}, {std::uint64_t{1} << 40, 5, 3, 17}}, kBlockSize),
      2u);
}

}  // namespace
}  // namespace haft::format
