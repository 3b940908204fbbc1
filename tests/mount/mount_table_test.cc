#include "haft/mount/mount_table.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/test_tree.h"

namespace haft {
namespace {

using testing::TempDir;

std::vector<MountTableEntry> Read(const std::string& text) {
  TempDir dir;
  const std::string path = dir.path() + "/mountinfo";
  std::ofstream(path) << text;
  return ReadMountTable(path);
}

TEST(MountTableTest, ReadsAFuseMountWithItsUser) {
  auto found = Read(
      "36 35 0:57 / /tmp/haft-7/demo ro,nosuid - fuse.haft haft ro,user_id=1000,group_id=50\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].device, "0:57");
  EXPECT_EQ(found[0].mount_point, "/tmp/haft-7/demo");
  EXPECT_EQ(found[0].type, "fuse.haft");
  EXPECT_EQ(found[0].user_id, 1000u);
  EXPECT_EQ(found[0].group_id, 50u);
}

TEST(MountTableTest, SkipsOptionalFieldsHoweverMany) {
  auto found = Read(
      "1 0 8:1 / / rw shared:1 master:2 propagate_from:3 - ext4 /dev/sda1 rw\n"
      "2 1 0:5 / /proc rw - proc proc rw\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].type, "ext4");
  EXPECT_EQ(found[0].user_id, std::nullopt);
  EXPECT_EQ(found[1].type, "proc");
}

TEST(MountTableTest, UnescapesSpacesAndBackslashes) {
  auto found = Read("1 0 0:5 / /a\\040b\\134c\\011d\\012e rw - tmpfs none rw\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].mount_point, "/a b\\c\td\ne");
}

TEST(MountTableTest, KeepsTheOrderOfMountsOnOnePoint) {
  auto found = Read("1 0 0:5 / /x rw - tmpfs none rw\n2 1 0:6 / /x rw - fuse none rw\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].device, "0:6");
}

TEST(MountTableTest, TakesALineThatIsCutForWhatItSays) {
  auto found = Read("1 0 0:5 / /x rw");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].mount_point, "/x");
  EXPECT_EQ(found[0].type, "");
}

TEST(MountTableTest, IsEmptyWithoutAFile) {
  EXPECT_TRUE(ReadMountTable("/proc/0/mountinfo").empty());
}

}  // namespace
}  // namespace haft
