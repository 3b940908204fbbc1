#include "haft/base/exceptions.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "haft/base/parallel.h"

namespace haft {
namespace {

template <typename Exception>
std::string MessageOf(Exception exception) {
  Result<> result = Caught([&]() -> Result<> { throw exception; });
  return result ? "" : result.error().message();
}

TEST(ExceptionsTest, BecomeErrors) {
  EXPECT_EQ(MessageOf(std::bad_alloc()), "out of memory; allow it more, or give it less to do");
  EXPECT_EQ(MessageOf(std::length_error("vector")), MessageOf(std::bad_alloc()));
  EXPECT_EQ(MessageOf(std::runtime_error("odd")), "internal error: odd");
  EXPECT_EQ(MessageOf(7), "internal error: an unknown exception");
  EXPECT_EQ(Caught([]() -> Result<int> { return 3; }).value(), 3);
}

TEST(ExceptionsTest, AreCaughtInThreadsOfParallelFor) {
  auto done = ParallelFor(100, 3, [](std::size_t i) -> Result<> {
    if (i == 50) throw std::bad_alloc();
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().sys_errno(), ENOMEM);
}

TEST(ExceptionsDeathTest, UncaughtOnesEndTheProcessWithOneLine) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ExitAtUncaughtExceptions(125);
        std::thread([] { throw std::bad_alloc(); }).join();
      },
      testing::ExitedWithCode(125), "^haft: out of memory; [a-z, ]*\n$");
  EXPECT_EXIT(
      {
        ExitAtUncaughtExceptions(1);
        []() noexcept { std::string("a").at(7); }();
      },
      testing::ExitedWithCode(1), "^haft: internal error: [a-z ]*\n$");
}

}  // namespace
}  // namespace haft
