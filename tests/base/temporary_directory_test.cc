#include "haft/base/temporary_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::TempDir;
using testing::WriteTestFile;

TEST(TemporaryDirectoryTest, GoesWithAllInIt) {
  TempDir dir;
  {
    TemporaryDirectory temporary = *TemporaryDirectory::Create(dir.path(), ".test-");
    EXPECT_EQ(temporary.path(), dir / temporary.name());
    WriteTestFile(temporary.path() + "/a/b/c", "x");
    ::chmod((temporary.path() + "/a").c_str(), 0);
    TemporaryDirectory moved = std::move(temporary);
    EXPECT_EQ(dir.List().size(), 1u);
  }
  EXPECT_TRUE(dir.List().empty());
}

TEST(TemporaryDirectoryTest, RemovesWhatAKilledProcessLeft) {
  TempDir dir;
  pid_t child = ::fork();
  if (child == 0) {
    TemporaryDirectory lost = *TemporaryDirectory::Create(dir.path(), ".test-");
    WriteTestFile(lost.path() + "/a/b", "x");
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_EQ(dir.List().size(), 1u);
  TemporaryDirectory other = *TemporaryDirectory::Create(dir.path(), ".other-");
  EXPECT_EQ(dir.List().size(), 2u) << "another purpose";
  TemporaryDirectory next = *TemporaryDirectory::Create(dir.path(), ".test-");
  EXPECT_EQ(dir.List(), (std::vector<std::string>{other.name(), next.name()}))
      << "the living keep theirs";
  TemporaryDirectory third = *TemporaryDirectory::Create(dir.path(), ".test-");
  EXPECT_EQ(dir.List().size(), 3u);
}

TEST(TemporaryDirectoryTest, UmaskThatTakesTheOwnersBitsDoesNotMatter) {
  TempDir dir;
  mode_t saved = ::umask(0777);
  auto made = TemporaryDirectory::Create(dir.path(), ".test-");
  EXPECT_EQ(::umask(saved), 0777u) << "it is as it was";
  ASSERT_TRUE(made.has_value());
  struct stat status = {};
  EXPECT_EQ(::fstat(made->fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST(TemporaryDirectoryTest, LeavesAloneWhatIsNotOfItsForm) {
  TempDir dir;
  ::mkdir((dir / ".test-").c_str(), 0755);
  ::mkdir((dir / ".test-1234567").c_str(), 0755);
  WriteTestFile(dir / ".test-123456", "a file");
  TemporaryDirectory next = *TemporaryDirectory::Create(dir.path(), ".test-");
  EXPECT_EQ(dir.List().size(), 4u);
}

TEST(TemporaryDirectoryTest, IsNotMadeWhereOthersCouldReplaceIt) {
  TempDir dir;
  ::mkdir((dir / "open").c_str(), 0755);
  ::mkdir((dir / "open/ours").c_str(), 0755);
  ::chmod((dir / "open").c_str(), 0777);
  auto made = TemporaryDirectory::Create(dir / "open/ours", ".test-");
  EXPECT_TRUE(testing::Message(made).ends_with(
      "/open': others may write to it; run chmod go-w on it, or use another place"))
      << testing::Message(made);
  UniqueFd parent(::open((dir / "open/ours").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(testing::Message(
                TemporaryDirectory::CreateIn(std::move(parent), dir / "open/ours", ".test-")),
            "")
      << "who works by descriptors can";
}

}  // namespace
}  // namespace haft
