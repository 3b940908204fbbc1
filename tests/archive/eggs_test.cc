#include <gtest/gtest.h>

#include "haft/archive/inner_wheels.h"
#include "haft/tree/file_source.h"
#include "support/expect.h"
#include "support/test_tree.h"
#include "zip_maker.h"

namespace haft::testing {
namespace {

TEST(EggsTest, BecomeDirectories) {
  const std::string zip = ZipOf({{.name = "demo/__init__.py", .data = "X = 5\n", .method = 8},
                                 {.name = "EGG-INFO/PKG-INFO", .data = "Name: demo\n"}})
                              .Bytes();
  Tree tree = MakeTree({{"s/demo-1.egg", zip},
                        {"s/deep/other-1.egg", zip},
                        {"s/text.egg", "no zip"},
                        {"s/there.egg/EGG-INFO/PKG-INFO", ""}});
  ASSERT_TRUE(ExpandEggs(tree, "s"));
  const TreeNode* module = tree.Find("s/demo-1.egg/demo/__init__.py");
  ASSERT_NE(module, nullptr);
  EXPECT_EQ(Expect(ReadSource(module->file()->source, module->file()->size)), "X = 5\n");
  EXPECT_NE(tree.Find("s/demo-1.egg/EGG-INFO/PKG-INFO"), nullptr);
  for (const char* file : {"s/deep/other-1.egg", "s/text.egg"}) {
    ASSERT_NE(tree.Find(file), nullptr) << file;
    EXPECT_NE(tree.Find(file)->file(), nullptr) << file;
  }
  EXPECT_TRUE(ExpandEggs(tree, "nowhere"));
}

}  // namespace
}  // namespace haft::testing
