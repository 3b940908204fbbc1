#include "haft/base/beneath.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/test_tree.h"

namespace haft {
namespace {

using testing::TempDir;
using testing::WriteTestFile;

// With the system call, and component by component as where there is none.
class BeneathTest : public ::testing::TestWithParam<bool> {
 protected:
  BeneathTest() {
    WriteTestFile(dir_ / "root/a/b/file", "inside");
    WriteTestFile(dir_ / "outside/file", "outside");
    std::filesystem::create_directory_symlink("../outside", dir_ / "root/out");
    std::filesystem::create_directory_symlink("a", dir_ / "root/in");
    std::filesystem::create_symlink("../../outside/file", dir_ / "root/a/link");
    root_ = UniqueFd(::open((dir_ / "root").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  UniqueFd Open(const std::string& path, int flags = O_RDONLY, unsigned mode = 0) const {
    return GetParam() ? OpenBeneath(root_.get(), path, flags, mode)
                      : internal::OpenComponents(root_.get(), path, flags, mode);
  }

  TempDir dir_;
  UniqueFd root_;
};

TEST_P(BeneathTest, OpensWhatLiesBelow) {
  EXPECT_TRUE(Open("a/b/file"));
  EXPECT_TRUE(Open("a/b", O_RDONLY | O_DIRECTORY));
  EXPECT_TRUE(Open("", O_RDONLY | O_DIRECTORY));
  EXPECT_TRUE(Open("a/b", O_PATH | O_DIRECTORY));
  EXPECT_TRUE(Open("a/b/file", O_PATH));
  EXPECT_EQ(::fcntl(Open("a/b/file").get(), F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(Open("a/none"));
  EXPECT_EQ(errno, ENOENT);
}

TEST_P(BeneathTest, FollowsNoLinkAndLeavesNoRoot) {
  for (const char* path : {"out/file", "in/b/file", "a/link", "out", "in", "../outside/file", "..",
                           "a/../../outside/file"}) {
    for (int flags : {O_RDONLY, O_PATH, O_RDONLY | O_DIRECTORY, O_WRONLY | O_CREAT}) {
      EXPECT_FALSE(Open(path, flags, 0600)) << path << " " << flags;
    }
  }
  EXPECT_FALSE(Open(dir_ / "outside/file"));
}

TEST_P(BeneathTest, MakesFilesOnce) {
  EXPECT_TRUE(Open("a/new", O_WRONLY | O_CREAT | O_EXCL, 0600));
  EXPECT_FALSE(Open("a/new", O_WRONLY | O_CREAT | O_EXCL, 0600));
  EXPECT_EQ(errno, EEXIST);
  EXPECT_FALSE(Open("out/new", O_WRONLY | O_CREAT | O_EXCL, 0600));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "outside/new"));
}

INSTANTIATE_TEST_SUITE_P(By, BeneathTest, ::testing::Bool(),
                         [](const auto& way) { return way.param ? "OneCall" : "Components"; });

TEST(ParentBeneathTest, FindsTheDirectoryOfEachPath) {
  TempDir dir;
  WriteTestFile(dir / "a/x", "1");
  WriteTestFile(dir / "b/x", "2");
  std::filesystem::create_directory_symlink("a", dir / "c");
  UniqueFd root(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ParentBeneath parents(root.get());
  auto size = [&](const std::string& path) {
    auto [directory, name] = parents.Of(path);
    struct stat status;
    return directory >= 0 && ::fstatat(directory, name, &status, 0) == 0;
  };
  for (const char* path : {"a/x", "a/x", "b/x", "a", "a/x"}) EXPECT_TRUE(size(path)) << path;
  for (const char* path : {"c/x", "a/y", "d/x"}) EXPECT_FALSE(size(path)) << path;
}

}  // namespace
}  // namespace haft
