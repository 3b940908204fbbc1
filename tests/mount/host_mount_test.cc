#include "haft/mount/host_mount.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;
using testing::TempDir;

std::string RealPath(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  std::string result = resolved == nullptr ? "" : resolved;
  ::free(resolved);
  return result;
}

TEST(ResolveMountPointTest, GivesTheAbsolutePath) {
  TempDir dir;
  std::string real = RealPath(dir.path());
  ASSERT_EQ(::mkdir((dir / "mount").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("mount", (dir / "link").c_str()), 0);
  EXPECT_EQ(Expect(ResolveMountPoint(dir / "mount")), real + "/mount");
  EXPECT_EQ(Expect(ResolveMountPoint((dir / "mount") + "///")), real + "/mount");
  EXPECT_EQ(Expect(ResolveMountPoint((dir / "mount") + "/.")), real + "/mount");
  EXPECT_EQ(Expect(ResolveMountPoint((dir / "mount") + "/..")), real);
  EXPECT_EQ(Expect(ResolveMountPoint(dir / "link")), real + "/mount");
  EXPECT_EQ(Expect(ResolveMountPoint("/")), "/");
  EXPECT_EQ(Expect(ResolveMountPoint("/tmp/../dev")), "/dev");
  EXPECT_EQ(Message(ResolveMountPoint(dir / "no/such")),
            "'" + (dir / "no/such") + "': No such file or directory");
}

TEST(FindHostMountTest, KnowsOnlyHaftsOwnMounts) {
  TempDir dir;
  for (const std::string& path :
       {dir.path(), std::string("/"), std::string("/proc"), std::string("/no/such")}) {
    EXPECT_EQ(Expect(FindHostMount(path)), HostMount::kNone) << path;
  }
}

TEST(UnmountTest, SaysWhyItCouldNot) {
  TempDir dir;
  std::string message = Message(Unmount(dir.path(), UnmountHow::kUnlessBusy));
  EXPECT_NE(message, "");
  if (::geteuid() == 0) {
    EXPECT_EQ(message, "unmount '" + dir.path() + "': Invalid argument");
  }
}

}  // namespace
}  // namespace haft
