#include "haft/image/block_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <optional>
#include <random>
#include <thread>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Message;

constexpr std::size_t kSize = 64;

// Fills blocks with their number and counts how often.
struct Source {
  std::atomic<int> fills = 0;

  BlockCache::Fill For(std::uint32_t block) {
    return [this, block](std::span<std::byte> out) -> Result<> {
      ++fills;
      std::ranges::fill(out, std::byte(block));
      return {};
    };
  }
};

PinnedBlock Get(BlockCache& cache, Source& source, std::uint32_t block,
                std::uint32_t size = kSize) {
  auto pinned = cache.Get(block, size, source.For(block));
  EXPECT_EQ(Message(pinned), "");
  EXPECT_EQ(pinned->bytes().size(), size);
  EXPECT_TRUE(std::ranges::all_of(pinned->bytes(), [&](std::byte b) {
    return b == std::byte(block);
  })) << block;
  return *std::move(pinned);
}

TEST(BlockCacheTest, DecodesABlockOnce) {
  BlockCache cache(4 * kSize, kSize);
  Source source;
  { PinnedBlock first = Get(cache, source, 7); }
  PinnedBlock again = Get(cache, source, 7);
  EXPECT_EQ(source.fills, 1);
  BlockCache::Counters counters = cache.counters();
  EXPECT_EQ(counters.hits, 1u);
  EXPECT_EQ(counters.misses, 1u);
  EXPECT_EQ(counters.failures, 0u);
  EXPECT_EQ(counters.buffers, 1u);
  EXPECT_EQ(counters.budget, 4u);
}

TEST(BlockCacheTest, ABlockOfAnotherSizeThanTheOneThatWasDecodedIsAnError) {
  BlockCache cache(4 * kSize, kSize);
  Source source;
  PinnedBlock small = Get(cache, source, 7, kSize / 2);
  auto grown = cache.Get(7, kSize, source.For(7));
  ASSERT_FALSE(grown.has_value());
  EXPECT_EQ(grown.error().kind(), ErrorKind::kCorrupt);
  EXPECT_EQ(source.fills, 1);
}

TEST(BlockCacheTest, HasAtLeastTwoBuffers) {
  EXPECT_EQ(BlockCache(0, kSize).counters().budget, 2u);
  EXPECT_EQ(BlockCache(3 * kSize - 1, kSize).counters().budget, 2u);
  EXPECT_EQ(BlockCache(3 * kSize, kSize).counters().budget, 3u);
}

TEST(BlockCacheTest, BlocksMayBeShorterThanTheirBuffer) {
  BlockCache cache(2 * kSize, kSize);
  Source source;
  { PinnedBlock small = Get(cache, source, 1, 5); }
  EXPECT_EQ(Get(cache, source, 1, 5).bytes().size(), 5u);
  EXPECT_EQ(source.fills, 1);
}

TEST(BlockCacheTest, EvictsWithinItsBudget) {
  BlockCache cache(4 * kSize, kSize);
  Source source;
  for (std::uint32_t block = 0; block < 100; ++block) Get(cache, source, block);
  EXPECT_EQ(source.fills, 100);
  EXPECT_EQ(cache.counters().buffers, 4u);
  Get(cache, source, 99);
  EXPECT_EQ(source.fills, 100) << "the last one is still there";
  Get(cache, source, 0);
  EXPECT_EQ(source.fills, 101) << "the first one is not";
}

TEST(BlockCacheTest, KeepsWhatIsUsedAgain) {
  BlockCache cache(4 * kSize, kSize);
  Source source;
  Get(cache, source, 1000);
  int fills_of_others = 0;
  for (std::uint32_t block = 0; block < 50; ++block, ++fills_of_others) {
    Get(cache, source, block);
    Get(cache, source, 1000);
  }
  // A second chance after every use: it survives all but the rounds in which everything has been
  // used.
  EXPECT_LE(source.fills - fills_of_others, 1 + 50 / 3);
}

TEST(BlockCacheTest, DoesNotTouchPinnedBlocks) {
  BlockCache cache(3 * kSize, kSize);
  Source source;
  PinnedBlock first = Get(cache, source, 1), second = Get(cache, source, 2);
  for (std::uint32_t block = 10; block < 40; ++block) Get(cache, source, block);
  EXPECT_EQ(first.bytes()[0], std::byte{1});
  EXPECT_EQ(second.bytes()[kSize - 1], std::byte{2});
  int fills = source.fills;
  Get(cache, source, 1);
  EXPECT_EQ(source.fills, fills);
}

TEST(BlockCacheTest, GoesBeyondItsBudgetOnlyWhileEverythingIsPinned) {
  BlockCache cache(2 * kSize, kSize);
  Source source;
  std::vector<PinnedBlock> pinned;
  for (std::uint32_t block = 0; block < 10; ++block) pinned.push_back(Get(cache, source, block));
  EXPECT_EQ(cache.counters().buffers, 10u);
  for (std::uint32_t block = 0; block < 10; ++block) {
    EXPECT_EQ(pinned[block].bytes()[0], std::byte(block));
    pinned.push_back(Get(cache, source, block));  // a second pin of the same buffer
  }
  EXPECT_EQ(source.fills, 10);
  pinned.clear();
  EXPECT_EQ(cache.counters().buffers, 2u);
  Get(cache, source, 5);
  EXPECT_EQ(source.fills, 11) << "temporary buffers are gone";
}

TEST(BlockCacheTest, MovedPinsCountOnce) {
  BlockCache cache(2 * kSize, kSize);
  Source source;
  PinnedBlock pinned = Get(cache, source, 1);
  PinnedBlock moved = std::move(pinned);
  pinned = Get(cache, source, 2);
  moved = std::move(pinned);
  for (std::uint32_t block = 10; block < 20; ++block) Get(cache, source, block);
  EXPECT_EQ(moved.bytes()[0], std::byte{2});
  EXPECT_EQ(cache.counters().buffers, 2u) << "block 1 was released";
}

TEST(BlockCacheTest, ConsumedBlocksGiveTheirBufferToTheNext) {
  BlockCache cache(8 * kSize, kSize);
  Source source;
  PinnedBlock kept = Get(cache, source, 200);
  for (std::uint32_t block = 0; block < 50; ++block) {
    PinnedBlock pinned = Get(cache, source, block);
    pinned.MarkRead(kSize - 1);
    if (block % 2 == 0) pinned = Get(cache, source, block);
    pinned.MarkRead(1);
  }
  EXPECT_EQ(cache.counters().buffers, 2u);
  EXPECT_EQ(source.fills, 51);
  {
    PinnedBlock wanted = Get(cache, source, 49);
  }  // still there, and from now on kept as any other
  EXPECT_EQ(source.fills, 51);
  for (std::uint32_t block = 60; block < 65; ++block) Get(cache, source, block);
  Get(cache, source, 49);
  EXPECT_EQ(source.fills, 56);
  EXPECT_EQ(kept.bytes()[0], std::byte(200));
}

// A thread that led the server had waited with the lead for a block that another one read from a
// slow disk.
TEST(BlockCacheTest, ALongWaitForAnotherThreadsBlockIsTold) {
  BlockCache cache(4 * kSize, kSize);
  std::latch filling(1), told(1);
  cache.SetLongWaitHook([&] { told.count_down(); });
  std::jthread slow([&] {
    auto pinned = cache.Get(1, kSize, [&](std::span<std::byte> out) -> Result<> {
      filling.count_down();
      told.wait();
      std::ranges::fill(out, std::byte(1));
      return {};
    });
    EXPECT_EQ(Message(pinned), "");
  });
  filling.wait();
  Source source;
  Get(cache, source, 1);
  EXPECT_EQ(source.fills, 0);
}

// A large block takes the room of several small ones, and gives it back.
TEST(BlockCacheTest, BudgetIsInBytes) {
  constexpr std::size_t kLarge = 1 << 20;
  BlockCache cache(4 * kLarge, kLarge);
  Source source;
  for (std::uint32_t block = 0; block < 20; ++block) Get(cache, source, block, kLarge);
  EXPECT_LE(cache.counters().buffers, 4u);
  for (std::uint32_t block = 100; block < 200; ++block) Get(cache, source, block, 1000);
  EXPECT_GE(cache.counters().buffers, 16u);
  EXPECT_LE(cache.counters().buffers, 32u);
  PinnedBlock pinned = Get(cache, source, 250, kLarge);
  for (std::uint32_t block = 0; block < 20; ++block) Get(cache, source, block, kLarge);
  EXPECT_EQ(pinned.bytes()[kLarge - 1], std::byte(250));
}

TEST(BlockCacheTest, DoesNotKeepFailures) {
  BlockCache cache(2 * kSize, kSize);
  Source source;
  for (int i = 0; i < 5; ++i) {
    auto failed = cache.Get(
        3, kSize, [](std::span<std::byte>) -> Result<> { return Failure(Error::Corrupt("bad")); });
    EXPECT_EQ(Message(failed), "bad");
  }
  EXPECT_EQ(cache.counters().failures, 5u);
  EXPECT_LE(cache.counters().buffers, 2u) << "buffers are used again";
  Get(cache, source, 3);
  EXPECT_EQ(source.fills, 1);
}

TEST(BlockCacheTest, AFailureBeyondTheBudgetLeavesNothing) {
  BlockCache cache(2 * kSize, kSize);
  Source source;
  PinnedBlock first = Get(cache, source, 1), second = Get(cache, source, 2);
  auto failed = cache.Get(
      3, kSize, [](std::span<std::byte>) -> Result<> { return Failure(Error::Corrupt("bad")); });
  EXPECT_EQ(Message(failed), "bad");
  EXPECT_EQ(cache.counters().buffers, 2u);
}

TEST(BlockCacheTest, TrimGivesUnusedMemoryBack) {
  BlockCache cache(4 * kSize, kSize);
  Source source;
  PinnedBlock pinned = Get(cache, source, 1);
  Get(cache, source, 2);
  Get(cache, source, 3);
  cache.Trim();
  EXPECT_EQ(cache.counters().buffers, 1u);
  EXPECT_EQ(pinned.bytes()[0], std::byte{1});
  Get(cache, source, 1);
  EXPECT_EQ(source.fills, 3);
  Get(cache, source, 2);
  EXPECT_EQ(source.fills, 4);
}

TEST(BlockCacheTest, ThreadsWaitForADecodeThatIsUnderWay) {
  BlockCache cache(4 * kSize, kSize);
  std::atomic<int> fills = 0;
  std::latch decoding(1), all_asked(8);
  auto slow = [&](std::span<std::byte> out) -> Result<> {
    ++fills;
    decoding.count_down();
    all_asked.wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::ranges::fill(out, std::byte{9});
    return {};
  };
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { EXPECT_EQ(Message(cache.Get(9, kSize, slow)), ""); });
  decoding.wait();
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      all_asked.count_down();
      auto pinned = cache.Get(9, kSize, slow);
      ASSERT_EQ(Message(pinned), "");
      EXPECT_EQ(pinned->bytes()[kSize - 1], std::byte{9});
    });
  }
  threads.clear();
  EXPECT_EQ(fills, 1);
  EXPECT_EQ(cache.counters().misses, 1u);
  EXPECT_EQ(cache.counters().hits, 8u);
}

TEST(BlockCacheTest, WhoWaitedForAFailedDecodeTriesItself) {
  BlockCache cache(4 * kSize, kSize);
  std::atomic<int> fills = 0;
  std::latch decoding(1);
  auto first_fails = [&](std::span<std::byte> out) -> Result<> {
    if (++fills == 1) {
      decoding.count_down();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      return Failure(Error::Corrupt("bad"));
    }
    std::ranges::fill(out, std::byte{1});
    return {};
  };
  std::jthread first([&] { EXPECT_EQ(Message(cache.Get(1, kSize, first_fails)), "bad"); });
  decoding.wait();
  EXPECT_EQ(Message(cache.Get(1, kSize, first_fails)), "");
  EXPECT_EQ(fills, 2);
}

TEST(BlockCacheTest, ManyThreadsAlwaysSeeTheirBlock) {
  constexpr std::uint32_t kBlocks = 40;
  BlockCache cache(8 * kSize, kSize);
  Source source;
  std::vector<std::jthread> threads;
  for (unsigned seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 chance(seed);
      std::optional<PinnedBlock> kept;
      std::uint32_t kept_number = 0;
      for (int i = 0; i < 5'000; ++i) {
        auto block = static_cast<std::uint32_t>(chance() % kBlocks);
        bool fails = chance() % 16 == 0;
        auto pinned = cache.Get(block, kSize, [&](std::span<std::byte> out) -> Result<> {
          if (fails) return Failure(Error::Corrupt("bad"));
          return source.For(block)(out);
        });
        if (!pinned) continue;
        ASSERT_TRUE(std::ranges::all_of(pinned->bytes(),
                                        [&](std::byte b) { return b == std::byte(block); }));
        if (kept) {
          ASSERT_EQ(kept->bytes()[kSize / 2], std::byte(kept_number));
        }
        if (chance() % 4 == 0) {
          kept = *std::move(pinned);
          kept_number = block;
        }
        if (chance() % 500 == 0) cache.Trim();
        if (chance() % 100 == 0) static_cast<void>(cache.counters());
      }
    });
  }
  threads.clear();
  BlockCache::Counters counters = cache.counters();
  EXPECT_LE(counters.buffers, 8u);
  EXPECT_EQ(counters.misses, static_cast<std::uint64_t>(source.fills) + counters.failures);
}

}  // namespace
}  // namespace haft
