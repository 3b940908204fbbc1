#include "haft/base/edit_distance.h"

#include <gtest/gtest.h>

#include <array>

namespace haft {
namespace {

TEST(EditDistanceTest, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("certbot", "certbot"), 0u);
  EXPECT_EQ(EditDistance("certbot", "cerbot"), 1u);
  EXPECT_EQ(EditDistance("certbot", "certbots"), 1u);
  EXPECT_EQ(EditDistance("certbot", "certbat"), 1u);
  EXPECT_EQ(EditDistance("certbot", "cretbot"), 1u);  // a swap is one step
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("ca", "abc"), 3u);  // each letter takes part in one change at most
}

TEST(EditDistanceTest, IsSymmetric) {
  std::array<std::string_view, 5> words = {"", "a", "verify", "vreify", "extract"};
  for (auto a : words) {
    for (auto b : words) EXPECT_EQ(EditDistance(a, b), EditDistance(b, a)) << a << " " << b;
  }
}

TEST(NearestTest, SuggestsOnlyWhatMayHaveBeenMeant) {
  std::array<std::string_view, 4> commands = {"build", "mount", "umount", "verify"};
  EXPECT_EQ(Nearest("biuld", commands), "build");
  EXPECT_EQ(Nearest("mont", commands), "mount");
  EXPECT_EQ(Nearest("mount", commands), "mount");
  EXPECT_EQ(Nearest("verfy", commands), "verify");
  EXPECT_EQ(Nearest("xyzzy", commands), std::nullopt);
  EXPECT_EQ(Nearest("", commands), std::nullopt);
  EXPECT_EQ(Nearest("build", {}), std::nullopt);
}

TEST(NearestTest, TakesTheFirstOfEquallyNearOnes) {
  std::array<std::string_view, 2> scripts = {"flask1", "flask2"};
  EXPECT_EQ(Nearest("flask", scripts), "flask1");
}

}  // namespace
}  // namespace haft
