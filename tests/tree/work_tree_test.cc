#include "haft/tree/work_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "haft/base/file_io.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;

// What a profile's run has to copy had gone to /dev/shm, however large.
TEST(WorkTreeTest, OnlyFilesThatAreNotOnDiskAreCopied) {
  testing::TempDir dir;
  testing::WriteTestFile(dir / "large", std::string(5000, 'x'));
  auto root = std::make_shared<const InputRoot>(
      InputRoot{Expect(OpenFile(dir.path(), O_RDONLY | O_DIRECTORY)), dir.path()});
  Tree tree = testing::MakeTree({{"a", "123"}, {"b/c", "45"}});
  ASSERT_TRUE(tree.AddFile("large", {}, 5000, testing::SourceOnDisk(root, "large")));
  EXPECT_EQ(CopiedSize(tree), 5u);
  ASSERT_TRUE(MaterializeTree(tree, dir / "made"));
  EXPECT_EQ(testing::ReadTestFile(dir / "made/b/c"), "45");
  EXPECT_EQ(testing::ReadTestFile(dir / "made/large").size(), 5000u);
}

// The launcher of an interpreter inside the image could not be run there.
TEST(WorkTreeTest, CopiedProgramsCanBeExecuted) {
  testing::TempDir dir;
  Tree tree;
  ASSERT_TRUE(tree.AddText("program", "#!/bin/true\n", {.mode = 0755}));
  ASSERT_TRUE(tree.AddText("text", "1"));
  ASSERT_TRUE(MaterializeTree(tree, dir / "made"));
  EXPECT_EQ(::access((dir / "made/program").c_str(), X_OK), 0);
  struct stat status;
  ASSERT_EQ(::stat((dir / "made/text").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace haft
