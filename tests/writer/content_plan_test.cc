#include "haft/writer/content_plan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MakeTree;
using testing::RandomBytes;

std::vector<std::vector<ContentId>> Deal(const ContentPlan& plan, std::uint32_t block_size) {
  std::vector<std::vector<ContentId>> blocks;
  BlockPlanner planner(plan, block_size, block_size);
  while (auto planned = planner.Next()) {
    std::uint64_t size = 0;
    std::vector<ContentId> contents;
    for (const ContentSlice& slice : planned->slices) {
      size += slice.size;
      contents.push_back(slice.content);
    }
    EXPECT_EQ(planned->size, size);
    blocks.push_back(contents);
  }
  return blocks;
}

TEST(ContentPlanTest, IdenticalFilesAreOneContentAndEmptyOnesNone) {
  Tree tree = MakeTree(
      {{"a/one", "same"}, {"a/zero", ""}, {"b", "diff"}, {"c/two", "same"}, {"d", "longer"}});
  for (unsigned workers : {1u, 4u}) {
    ContentPlan plan = Expect(ContentPlan::Make(tree, {}, workers));
    auto id = [&](const char* path) { return plan.ContentOf(*tree.Find(path)->file()); };
    EXPECT_EQ(id("a/one"), 0u);
    EXPECT_EQ(id("b"), 1u);
    EXPECT_EQ(id("c/two"), 0u);
    EXPECT_EQ(id("d"), 2u);
    EXPECT_EQ(id("a/zero"), std::nullopt);
    EXPECT_EQ(plan.contents().size(), 3u);
    EXPECT_EQ(plan.file_count(), 5u);
    EXPECT_EQ(plan.content_size(), 18u);
    EXPECT_EQ(plan.unique_size(), 14u);
  }
}

TEST(ContentPlanTest, LargeFilesAreComparedToTheEnd) {
  std::string bytes = RandomBytes(300000, 1);
  Tree tree = MakeTree({{"a", bytes}, {"b", bytes}});
  bytes.back() ^= 1;
  ASSERT_TRUE(tree.AddText("c", bytes));
  ContentPlan plan = Expect(ContentPlan::Make(tree, {}, 2));
  EXPECT_EQ(plan.contents().size(), 2u);
  EXPECT_EQ(plan.ContentOf(*tree.Find("b")->file()), 0u);
  EXPECT_EQ(plan.ContentOf(*tree.Find("c")->file()), 1u);
}

TEST(ContentPlanTest, AVanishedFileIsAnError) {
  testing::TempDir dir;
  Tree tree = MakeTree({{"a", "12"}});
  auto root = std::make_shared<const InputRoot>(InputRoot{
      UniqueFd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), dir.path()});
  ASSERT_TRUE(tree.AddFile("b", {}, 2, testing::SourceOnDisk(root, "gone")));
  auto plan = ContentPlan::Make(tree, {}, 1);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().sys_errno(), ENOENT);
}

TEST(BlockPlannerTest, PacksSmallFilesWholeAndLargeOnesAlone) {
  Tree tree = MakeTree({{"a", std::string(3000, 'a')},
                        {"b", std::string(1000, 'b')},
                        {"c", std::string(97, 'c')},  // does not fit: 4097
                        {"d", std::string(5000, 'd')},
                        {"e", std::string(4096, 'e')},
                        {"f", "f"},
                        {"g", "g"}});
  ContentPlan plan = Expect(ContentPlan::Make(tree, {}, 1));
  using Blocks = std::vector<std::vector<ContentId>>;
  EXPECT_EQ(Deal(plan, 4096), (Blocks{{0, 1}, {3}, {2}, {4}, {5, 6}}));
}

TEST(BlockPlannerTest, NothingToPack) {
  Tree tree = MakeTree({{"a", ""}});
  ContentPlan plan = Expect(ContentPlan::Make(tree, {}, 1));
  EXPECT_TRUE(Deal(plan, 4096).empty());
}

// A start's small files had been put into one block with others if a large one lay between them.
TEST(ContentPlanTest, AStartsFilesShareNoBlockWithOthers) {
  Tree tree =
      MakeTree({{"hot", "h"}, {"a.txt", RandomBytes(500, 1)}, {"b.txt", "b"}, {"c.txt", "c"}});
  StartLayout layout{.files = {"hot"}};
  ContentPlan plan = Expect(ContentPlan::Make(tree, layout, 1));
  EXPECT_EQ(plan.hot_count(), 1u);
  BlockPlanner planner(plan, 400, 50);
  std::vector<std::vector<ContentSlice>> blocks;
  while (auto planned = planner.Next()) blocks.push_back(planned->slices);
  EXPECT_EQ(blocks, (std::vector<std::vector<ContentSlice>>{
                        {{1, 0, 500}}, {{0, 0, 1}}, {{2, 0, 1}, {3, 0, 1}}}));
}

TEST(ContentPlanTest, OfAFileUsedInPartTheRestLiesBehindTheStart) {
  constexpr std::uint64_t kSize = 200'000;
  Tree tree = MakeTree(
      {{"a.so", RandomBytes(kSize, 1)}, {"b.so", "b"}, {"hot", "h"}, {"small.so", "12345"}});
  // Beyond the end of the file, as in the profile of another version of it.
  StartLayout layout{
      .files = {"a.so", "small.so", "hot"},
      .ranges = {{"a.so", {{4096, 1000}, {196'000, 10'000}, {kSize, 5}}}, {"small.so", {{0, 2}}}}};
  ContentPlan plan = Expect(ContentPlan::Make(tree, layout, 2));
  EXPECT_EQ(plan.unique_size(), kSize + 7);
  EXPECT_EQ(plan.hot_count(), 5u);
  EXPECT_EQ((std::vector(plan.slices().begin(), plan.slices().end())),
            (std::vector<ContentSlice>{{0, 0, 16'384},
                                       {0, 180'224, 19'776},
                                       {1, 0, 5},
                                       {2, 0, 1},
                                       {0, 16'384, 163'840},
                                       {3, 0, 1}}));
}

TEST(ContentPlanTest, CopiesOfAFileUsedInPartAreStoredOnce) {
  const std::string bytes = RandomBytes(100'000, 1);
  Tree tree = MakeTree({{"a.so", bytes}, {"b.so", bytes}, {"c.so", bytes}});
  StartLayout layout{.files = {"b.so", "c.so"},
                     .ranges = {{"b.so", {{0, 10}}}, {"c.so", {{50, 10}}}}};
  ContentPlan plan = Expect(ContentPlan::Make(tree, layout, 2));
  EXPECT_EQ(plan.contents().size(), 1u);
  EXPECT_EQ((std::vector(plan.slices().begin(), plan.slices().end())),
            (std::vector<ContentSlice>{{0, 0, 16'384}, {0, 16'384, 83'616}}));
}

// Each had become an extent of its own; a reply of more than 1024 cannot be written.
TEST(ContentPlanTest, TinyRangesOfAProfileMakeNoTinySlices) {
  constexpr std::uint64_t kSize = 200'000;
  Tree tree = MakeTree({{"a.so", RandomBytes(kSize, 1)}});
  StartLayout layout{.files = {"a.so"}};
  for (std::uint64_t offset = 0; offset < 40'000; offset += 128)
    layout.ranges["a.so"].push_back({offset, 64});
  layout.ranges["a.so"].push_back({kSize - 1, 1});
  ContentPlan plan = Expect(ContentPlan::Make(tree, layout, 1));
  EXPECT_EQ((std::vector(plan.slices().begin(), plan.slices().end())),
            (std::vector<ContentSlice>{{0, 0, 49'152}, {0, 196'608, 3392}, {0, 49'152, 147'456}}));
  for (std::uint64_t offset = 40'000; offset < kSize; offset += 8192)
    layout.ranges["a.so"].push_back({offset, 64});
  plan = Expect(ContentPlan::Make(
      tree,
      {.files = layout.files, .ranges = {{"a.so", format::Normalised(layout.ranges["a.so"])}}}, 1));
  EXPECT_EQ((std::vector(plan.slices().begin(), plan.slices().end())),
            (std::vector<ContentSlice>{{0, 0, kSize}}));
}

TEST(ContentPlanTest, CompiledTranslationsLieBesideTheirSources) {
  Tree tree = MakeTree({{"de/app.mo", "1"},
                        {"de/app.po", "22"},
                        {"de/note.pot", "333"},
                        {"fr/app.MO", "4444"},
                        {"fr/app.po", "55555"}});
  ContentPlan plan = Expect(ContentPlan::Make(tree, {}, 1));
  auto id = [&](const char* path) { return *plan.ContentOf(*tree.Find(path)->file()); };
  EXPECT_EQ((std::vector{id("de/app.mo"), id("de/app.po"), id("fr/app.MO"), id("fr/app.po"),
                         id("de/note.pot")}),
            (std::vector<ContentId>{0, 1, 2, 3, 4}));
}

TEST(ContentPlanTest, WithoutALayoutCompiledPythonIsWhatAStartReads) {
  Tree tree = MakeTree({{"a.py", "1"}, {"b.pyc", "22"}, {"c.pyc", "333"}});
  ContentPlan plan = Expect(ContentPlan::Make(tree, {}, 1));
  EXPECT_EQ(plan.hot_count(), 2u);
  EXPECT_EQ(plan.ContentOf(*tree.Find("b.pyc")->file()), 0u);
  EXPECT_EQ(plan.ContentOf(*tree.Find("a.py")->file()), 2u);
}

}  // namespace
}  // namespace haft
