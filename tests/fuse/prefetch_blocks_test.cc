#include "prefetch_blocks.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;

constexpr std::size_t kRequest = 128u << 10;
constexpr std::size_t kSize = 4u << 20;

class PrefetchBlocksTest : public ::testing::Test {
 protected:
  PrefetchBlocksTest()
      : reader_(testing::OpenReader(
            testing::BuildImage(testing::MakeTree({{"large", testing::RandomBytes(kSize, 1)}}),
                                {.compression = Compression::kLz4, .workers = 1}))) {
    file_ = Expect(reader_.Resolve("large")).inode;
  }

  std::uint64_t Decoded() const { return reader_.cache().counters().misses; }
  // Whether so many blocks, or more, were decoded within a few seconds.
  bool Reaches(std::uint64_t count) const {
    for (int i = 0; i < 5000 && Decoded() < count; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return Decoded() >= count;
  }

  ImageReader reader_;
  InodeId file_ = {};
};

TEST_F(PrefetchBlocksTest, AfterARunWithoutAGap) {
  BlockPrefetcher ahead(reader_, nullptr);
  for (std::uint64_t offset = 0; offset < 3 * kRequest; offset += kRequest)
    ahead.Note(file_, offset, kRequest);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(Decoded(), 0u) << "too early";
  ahead.Note(file_, 3 * kRequest, kRequest);
  EXPECT_TRUE(Reaches(2));
}

TEST_F(PrefetchBlocksTest, NotForReadsHereAndThere) {
  BlockPrefetcher ahead(reader_, nullptr);
  for (std::uint64_t i = 0; i < 100; ++i) ahead.Note(file_, (i * 7 % 31) * kRequest, kRequest);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(Decoded(), 0u);
}

TEST_F(PrefetchBlocksTest, SurvivesWhatCannotBeReadAndTheEnd) {
  BlockPrefetcher ahead(reader_, nullptr);
  const InodeId none = InodeId(1u << 20);
  std::uint64_t offset = 0;
  for (; offset < 6 * kRequest; offset += kRequest) ahead.Note(none, offset, kRequest);
  for (offset = 0; offset < 4 * kRequest; offset += kRequest) ahead.Note(file_, offset, kRequest);
  EXPECT_TRUE(Reaches(2));
  for (; offset < kSize; offset += kRequest) {
    ahead.Note(file_, offset, kRequest);
    ahead.Note(none, offset + 2 * kRequest, kRequest);
  }
  EXPECT_LE(Decoded(), kSize / kRequest);
}

// Its thread is tied to the server's CPUs then, which the prefetch needs.
TEST_F(PrefetchBlocksTest, NotWhileTheImageIsPrefetched) {
  SharedServerState shared;
  shared.prefetching = true;
  BlockPrefetcher ahead(reader_, &shared);
  for (std::uint64_t offset = 0; offset < kSize; offset += kRequest)
    ahead.Note(file_, offset, kRequest);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(Decoded(), 0u);
}

}  // namespace
}  // namespace haft
