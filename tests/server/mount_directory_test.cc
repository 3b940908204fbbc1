#include "haft/server/mount_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;
using testing::TempDir;

class MountDirectoryTest : public ::testing::Test {
 protected:
  MountDirectoryTest() { ::chmod(dir_.path().c_str(), 0755); }

  MountDirectory Make(std::string_view name) {
    return Expect(MountDirectory::Make(Path(name), true));
  }
  std::string Path(std::string_view name) const { return parent_ + "/" + std::string(name); }
  static bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

  TempDir dir_;
  std::string parent_ = dir_ / "haft";
};

TEST_F(MountDirectoryTest, IsRemovedWithItsParent) {
  MountDirectory directory = Make("app");
  struct stat status = {};
  ASSERT_EQ(::stat(Path("app").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & ALLPERMS, 01700u) << "who can open it can lock it";
  ASSERT_EQ(::stat(parent_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & ALLPERMS, 0755u);
  directory.Remove();
  EXPECT_FALSE(Exists(parent_));
}

TEST_F(MountDirectoryTest, GoesWithTheLastUser) {
  MountDirectory first = Make("app"), second = Make("app");
  first.Remove();
  EXPECT_TRUE(Exists(Path("app"))) << "the mount of the other goes with the directory";
  first = {};
  second.Remove();
  EXPECT_FALSE(Exists(parent_));
}

TEST_F(MountDirectoryTest, StaysBesideAnother) {
  MountDirectory one = Make("one"), two = Make("two");
  one.Remove();
  EXPECT_FALSE(Exists(Path("one")));
  EXPECT_TRUE(Exists(Path("two")));
  two.Remove();
  EXPECT_FALSE(Exists(parent_));
}

TEST_F(MountDirectoryTest, OfAStartThatWasKilledIsSweptByTheNext) {
  { MountDirectory killed = Make("killed"); }  // its lock ends, nobody removes it
  MountDirectory used = Make("used");
  ASSERT_EQ(::mkdir(Path("of-somebody").c_str(), 0700), 0);
  MountDirectory next = Make("next");
  next.RemoveUnusedBeside();
  EXPECT_FALSE(Exists(Path("killed")));
  EXPECT_TRUE(Exists(Path("used")));
  EXPECT_TRUE(Exists(Path("next")));
  EXPECT_TRUE(Exists(Path("of-somebody")));
}

TEST_F(MountDirectoryTest, ThatSomebodyElseHasMadeStays) {
  ASSERT_EQ(::mkdir(parent_.c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(Path("app").c_str(), 0755), 0);
  MountDirectory directory = Make("app");
  EXPECT_EQ(directory.descriptor(), -1);
  directory.Remove();
  EXPECT_TRUE(Exists(Path("app")));
}

TEST_F(MountDirectoryTest, IsNotMadeWhereOthersMayWrite) {
  ASSERT_EQ(::mkdir(parent_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(parent_.c_str(), 0777), 0);
  EXPECT_EQ(Message(MountDirectory::Make(Path("app"), true)),
            "'" + parent_ + "': others may change it");
  EXPECT_FALSE(Exists(Path("app")));
}

TEST_F(MountDirectoryTest, IsNotMadeThroughALink) {
  ASSERT_EQ(::symlink("/tmp", parent_.c_str()), 0);
  EXPECT_NE(Message(MountDirectory::Make(Path("app"), true)), "");
}

TEST_F(MountDirectoryTest, WithoutMakingTheParentLeavesTheParent) {
  EXPECT_NE(Message(MountDirectory::Make(Path("app"), false)), "");
  EXPECT_FALSE(Exists(parent_));
  ASSERT_EQ(::mkdir(parent_.c_str(), 0755), 0);
  MountDirectory directory = Expect(MountDirectory::Make(Path("app"), false));
  directory.Remove();
  EXPECT_FALSE(Exists(Path("app")));
  EXPECT_TRUE(Exists(parent_));
}

}  // namespace
}  // namespace haft
