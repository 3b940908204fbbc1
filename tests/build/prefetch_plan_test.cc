#include "prefetch_plan.h"

#include <gtest/gtest.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using format::Prefetch;
using testing::MakeTree;

TEST(PrefetchPlanTest, ListsDirectoriesThenReadsInTheOrderOfUse) {
  Tree tree =
      MakeTree({{"p/data/a.txt", "aaa"}, {"p/lib.so", std::string(400'000, 'x')}, {"p/empty", ""}});
  format::Profile profile{.files = {"p/lib.so", "p/empty", "p/data/a.txt", "gone"},
                          .directories = {"p/data"}};
  profile.ranges["p/lib.so"] = {{0, 131072}, {262144, 137856}};
  EXPECT_EQ(PlanPrefetch(tree, profile, {}, {"p", "no-such-path"}),
            (std::vector<Prefetch>{{.path = "p/"},
                                   {.path = "p/lib.so", .range = {0, 131072}},
                                   {.path = "p/lib.so", .range = {262144, 137856}},
                                   {.path = "p/data/"},
                                   {.path = "p/data/a.txt"}}));
}

TEST(PrefetchPlanTest, ReadsTheImportIndexInsteadOfWhatItHolds) {
  Tree tree = MakeTree(
      {{"p/a.pyc", "a"}, {"p/b.pyc", "b"}, {"p/c.pyc", "c"}, {".haft/py/modules.index", "ab"}});
  const TreeNode::File* index = tree.Find(".haft/py/modules.index")->file();
  std::vector<ContentPart> parts = {{tree.Find("p/a.pyc")->file(), index, 0},
                                    {tree.Find("p/b.pyc")->file(), index, 1}};
  EXPECT_EQ(PlanPrefetch(tree, {.files = {"p/c.pyc", "p/a.pyc", "p/b.pyc"}}, parts, {}),
            (std::vector<Prefetch>{{.path = ".haft/py/"},
                                   {.path = "p/"},
                                   {.path = "p/c.pyc"},
                                   {.path = ".haft/py/modules.index"}}));
}

TEST(PrefetchPlanTest, ListsDirectoriesThatTheImportIndexDoesNotReplace) {
  Tree tree = MakeTree({{"p/a.py", "a"},
                        {"p/__pycache__/a.pyc", "a"},
                        {"p.egg-info/x", "x"},
                        {".haft/py/modules.index", "a"}});
  std::vector<ContentPart> parts = {
      {tree.Find("p/__pycache__/a.pyc")->file(), tree.Find(".haft/py/modules.index")->file(), 0}};
  EXPECT_EQ(PlanPrefetch(tree, {.files = {}, .directories = {"p", "p.egg-info"}}, parts, {}),
            (std::vector<Prefetch>{{.path = ".haft/py/"}, {.path = "p.egg-info/"}}));
}

TEST(PrefetchPlanTest, LooksForWhatIsMissingLast) {
  Tree tree = MakeTree({{"p/a", "a"}, {"p/there", "x"}});
  EXPECT_EQ(PlanPrefetch(tree, {.files = {"p/a"}, .missing = {"p/no", "p/there"}}, {}, {}),
            (std::vector<Prefetch>{{.path = "p/"}, {.path = "p/a"}, {.path = "p/no"}}));
}

TEST(PrefetchPlanTest, IsBounded) {
  Tree tree = MakeTree({{"a", "x"}, {"b", "x"}});
  format::Profile profile{.files = {"a", "b"}};
  profile.ranges["a"] = {{0, 100u << 20}, {200u << 20, 100u << 20}};
  EXPECT_EQ(PlanPrefetch(tree, profile, {}, {}),
            (std::vector<Prefetch>{{.path = "a", .range = {0, 100u << 20}}, {.path = "b"}}));
}

}  // namespace
}  // namespace haft
