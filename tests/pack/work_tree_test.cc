#include "haft/pack/work_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>

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
  auto root = std::make_shared<const InputRoot>(InputRoot{Expect(OpenFile(dir.path(), O_RDONLY | O_DIRECTORY)), dir.path()});
  Tree tree = testing::MakeTree({{"a", "123"}, {"b/c", "45"}});
  ASSERT_TRUE(tree.AddFile("large", {}, 5000, FileSource::OnDisk(root, "large")));
  EXPECT_EQ(CopiedSize(tree), 5u);
  ASSERT_TRUE(ShowTree(tree, dir / "shown"));
  EXPECT_EQ(testing::ReadTestFile(dir / "shown/b/c"), "45");
  EXPECT_EQ(testing::ReadTestFile(dir / "shown/large").size(), 5000u);
}

}  // namespace
}  // namespace haft
