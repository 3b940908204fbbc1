#include "process_facts.h"

#include <gtest/gtest.h>

#include <string>

namespace haft {
namespace {

using namespace std::string_literals;

const std::string kId(64, 'a');

TEST(StartTicksTest, CountsFieldsAfterANameThatLooksLikeFields) {
  const std::string fields = " S 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 4711 21 22";
  EXPECT_EQ(StartTicks("12 (sh)" + fields), 4711);
  EXPECT_EQ(StartTicks("12 (a) R 1 2 (b)" + fields), 4711);
}

TEST(StartTicksTest, IsZeroForATextThatIsCut) {
  EXPECT_EQ(StartTicks(""), 0);
  EXPECT_EQ(StartTicks("12 (sh"), 0);
  EXPECT_EQ(StartTicks("12 (sh) S 2 3"), 0);
}

TEST(ExtractedTreeTest, IsWhatStandsBeforeTheBootstrap) {
  const std::string tree = "/tmp/haft-0/demo-" + kId + "/demo";
  EXPECT_EQ(ExtractedTree("A=1\0PYTHONPATH="s + tree + "/.haft/py:/more\0B=2\0"s), tree);
  EXPECT_EQ(ExtractedTree("PYTHONPATH=" + tree + "/.haft/py"), tree) << "without an end";
}

TEST(ExtractedTreeTest, IsNoneForAMountOrAnythingElse) {
  EXPECT_EQ(ExtractedTree(""), "");
  EXPECT_EQ(ExtractedTree("\0\0"s), "");
  EXPECT_EQ(ExtractedTree("PYTHONPATH=/run/haft/demo/.haft/py"), "") << "a mount";
  EXPECT_EQ(ExtractedTree("PYTHONPATH=/tmp/demo-1/demo/.haft/py"), "") << "no image id";
  EXPECT_EQ(ExtractedTree("PYTHONPATH=/tmp/other-" + kId + "/demo/.haft/py"), "") << "other names";
  EXPECT_EQ(ExtractedTree("PYTHONPATH=/tmp/demo-" + kId + "/demo/lib"), "") << "no bootstrap";
  EXPECT_EQ(ExtractedTree("PYTHONPATH=/first:/tmp/demo-" + kId + "/demo/.haft/py"), "")
      << "not in front";
  EXPECT_EQ(ExtractedTree("MYPYTHONPATH=/tmp/demo-" + kId + "/demo/.haft/py"), "");
}

TEST(ReadFiguresTest, TakesWhatTheServerTells) {
  RunningBundle bundle;
  ReadFigures(bundle, R"({"bundle": {"name": "demo", "image_id": "ab", "mode": "userns"},
    "cache": {"hits": 5, "misses": 6}, "operations": {"READ": 3, "LOOKUP": 4},
    "server": {"pid": 7, "supervisor": 8, "rss_bytes": 9, "deaths": 1, "last_death": "signal 9"}})");
  EXPECT_EQ(bundle.name + " " + bundle.image_id + " " + bundle.mode, "demo ab userns");
  ASSERT_TRUE(bundle.figures.has_value());
  EXPECT_EQ(bundle.figures->requests, 7u);
  EXPECT_EQ(bundle.figures->cache_hits, 5u);
  EXPECT_EQ(bundle.figures->cache_misses, 6u);
  EXPECT_EQ(bundle.figures->server, 7);
  EXPECT_EQ(bundle.figures->supervisor, 8);
  EXPECT_EQ(bundle.figures->last_death, "signal 9");
}

TEST(ReadFiguresTest, TakesMembersOfAnotherTypeAsMissing) {
  RunningBundle bundle;
  ReadFigures(bundle, R"({"cache": {"hits": "many"}, "operations": {"READ": "x", "OPEN": 2}})");
  ASSERT_TRUE(bundle.figures.has_value());
  EXPECT_EQ(bundle.figures->cache_hits, 0u);
  EXPECT_EQ(bundle.figures->requests, 2u);
}

TEST(ReadFiguresTest, LeavesTheBundleAloneForAnythingButAnObject) {
  RunningBundle bundle{.name = "demo"};
  for (const char* text : {"", "[]", "{\"cache\": ", "7"}) ReadFigures(bundle, text);
  EXPECT_FALSE(bundle.figures.has_value());
  EXPECT_EQ(bundle.name, "demo");
}

}  // namespace
}  // namespace haft
