#include "haft/base/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <string>

#include "haft/base/mutex.h"

namespace haft {
namespace {

Result<> Fail(std::size_t number) {
  return Failure(Error::Invalid(std::to_string(number)));
}

TEST(ParallelForTest, CallsEveryNumberOnce) {
  for (unsigned workers : {1u, 2u, 7u}) {
    std::vector<std::atomic<int>> calls(1000);
    ASSERT_TRUE(ParallelFor(calls.size(), workers, [&](std::size_t i) -> Result<> {
      ++calls[i];
      return {};
    }));
    EXPECT_TRUE(std::ranges::all_of(calls, [](const auto& count) { return count == 1; }));
  }
  EXPECT_TRUE(ParallelFor(0, 4, Fail));
}

TEST(ParallelForTest, ReturnsTheFailureWithTheSmallestNumberAndStartsNoMore) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<std::size_t> calls = 0;
    auto done = ParallelFor(10'000, 4, [&](std::size_t i) -> Result<> {
      ++calls;
      return i >= 3 ? Fail(i) : Result<>();
    });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message(), "3");
    EXPECT_LT(calls, 10'000u);
  }
}

TEST(OrderedPoolTest, ConsumesInTheOrderOfSubmissionOnTheSubmittingThread) {
  const auto self = std::this_thread::get_id();
  std::vector<int> consumed;
  OrderedPool<int> pool(4, 3, [&](int output) -> Result<> {
    EXPECT_EQ(std::this_thread::get_id(), self);
    consumed.push_back(output);
    return {};
  });
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(pool.Submit([i]() -> Result<int> {
      if (i % 7 == 0) std::this_thread::yield();
      return i;
    }));
  }
  ASSERT_TRUE(pool.Finish());
  std::vector<int> expected(500);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(consumed, expected);
}

TEST(OrderedPoolTest, HasNoMoreJobsThanItsWindow) {
  constexpr std::size_t kWindow = 3;
  std::atomic<std::size_t> submitted = 0;
  std::size_t consumed = 0;
  OrderedPool<int> pool(8, kWindow, [&](int) -> Result<> {
    EXPECT_LE(submitted - consumed, kWindow);
    ++consumed;
    return {};
  });
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(pool.Submit([i]() -> Result<int> { return i; }));
    ++submitted;
  }
  ASSERT_TRUE(pool.Finish());
  EXPECT_EQ(consumed, 100u);
}

TEST(OrderedPoolTest, FailsWithTheFirstFailureOfAJobOrOfTheConsumer) {
  auto fill = [](int bad_job, int bad_output) -> Result<> {
    OrderedPool<int> pool(2, 4, [&](int output) -> Result<> {
      return output == bad_output ? Failure(Error::Invalid("consumer")) : Result<>();
    });
    for (int i = 0; i < 20; ++i) {
      TRY(pool.Submit([i, bad_job]() -> Result<int> {
        if (i == bad_job) return Failure(Error::Invalid("job"));
        return i;
      }));
    }
    return pool.Finish();
  };
  EXPECT_EQ(fill(5, 6).error().message(), "job");
  EXPECT_EQ(fill(6, 5).error().message(), "consumer");
  EXPECT_TRUE(fill(-1, -1));
}

TEST(OrderedPoolTest, WaitsForRunningJobsAndDropsTheOthersWhenDestroyed) {
  std::atomic<int> begun = 0, ended = 0;
  {
    OrderedPool<int> pool(2, 50, [](int) -> Result<> { return {}; });
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(pool.Submit([&]() -> Result<int> {
        ++begun;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        ++ended;
        return 0;
      }));
    }
  }
  EXPECT_EQ(begun, ended);
  EXPECT_LT(begun, 40);
}

TEST(MutexTest, AConditionIsSeenByTheThreadThatWaits) {
  struct {
    Mutex mutex;
    Condition changed;
    int value HAFT_GUARDED_BY(mutex) = 0;
  } shared;
  std::jthread other([&] {
    for (int i = 1; i <= 100; ++i) {
      MutexLock lock(shared.mutex);
      shared.value = i;
      lock.Unlock();
      shared.changed.NotifyAll();
      lock.Lock();
    }
  });
  MutexLock lock(shared.mutex);
  while (shared.value < 100) shared.changed.Wait(lock);
  EXPECT_EQ(shared.value, 100);
  EXPECT_FALSE(shared.changed.WaitFor(lock, std::chrono::microseconds(100)));
}

}  // namespace
}  // namespace haft
