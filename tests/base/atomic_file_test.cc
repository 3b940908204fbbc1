#include "haft/base/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "haft/base/file_io.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Message;
using testing::ReadTestFile;
using testing::TempDir;
using testing::WriteTestFile;
using Names = std::vector<std::string>;

TEST(AtomicFileTest, AppearsCompleteAndWithItsMode) {
  TempDir dir;
  mode_t before = ::umask(027);
  AtomicFile file = *AtomicFile::Create(dir / "out", 0777);
  ::umask(before);
  ASSERT_TRUE(WriteAll(file.fd(), AsBytes("new")));
  EXPECT_EQ(dir.List(), Names{});
  ASSERT_TRUE(file.Commit());
  EXPECT_EQ(dir.List(), Names{"out"});
  EXPECT_EQ(ReadTestFile(dir / "out"), "new");
  struct stat status;
  ASSERT_EQ(::stat((dir / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0750u);
}

TEST(AtomicFileTest, ReplacesOnCommitOnly) {
  TempDir dir;
  WriteTestFile(dir / "out", "old");
  {
    AtomicFile file = *AtomicFile::Create(dir / "out", 0777);
    ASSERT_TRUE(WriteAll(file.fd(), AsBytes("half")));
  }
  EXPECT_EQ(ReadTestFile(dir / "out"), "old");
  AtomicFile file = *AtomicFile::Create(dir / "out", 0777);
  ASSERT_TRUE(WriteAll(file.fd(), AsBytes("new")));
  ASSERT_TRUE(file.Commit());
  EXPECT_EQ(ReadTestFile(dir / "out"), "new");
  EXPECT_EQ(dir.List(), Names{"out"});
}

TEST(AtomicFileTest, AKilledProcessLeavesNothing) {
  TempDir dir;
  pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file = *AtomicFile::Create(dir / "out", 0777);
    static_cast<void>(WriteAll(file.fd(), AsBytes("half")).has_value());
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  // A file system without O_TMPFILE cannot keep this promise.
  Names names = dir.List();
  if (!names.empty()) GTEST_SKIP() << "no O_TMPFILE in " << dir.path();
  EXPECT_EQ(names, Names{});
}

// Between linking and renaming, and all the time where there is no O_TMPFILE, the file has a name.
TEST(AtomicFileTest, RemovesWhatAKilledProcessLeft) {
  TempDir dir;
  testing::WriteTestFile(dir / ".haft-0123456789abcdef", "half");
  testing::WriteTestFile(dir / ".haft-0123456789abcdeg", "not ours");
  testing::WriteTestFile(dir / ".haft-extract-012345", "not ours");
  UniqueFd living(
      ::open((dir / ".haft-0123456789abcde0").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(living.get(), LOCK_EX), 0);
  AtomicFile file = *AtomicFile::Create(dir / "out", 0777);
  Names names = dir.List();
  EXPECT_EQ(std::ranges::count(names, ".haft-0123456789abcdef"), 0);
  EXPECT_EQ(std::ranges::count(names, ".haft-0123456789abcdeg"), 1);
  EXPECT_EQ(std::ranges::count(names, ".haft-extract-012345"), 1);
  EXPECT_EQ(std::ranges::count(names, ".haft-0123456789abcde0"), 1) << "a living process has it";
}

TEST(AtomicFileTest, RefusesWhatCannotBeReplaced) {
  TempDir dir;
  ASSERT_EQ(::mkdir((dir / "sub").c_str(), 0777), 0);
  EXPECT_EQ(Message(AtomicFile::Create(dir / "sub", 0777)),
            "write " + Quoted(dir / "sub") + ": Is a directory");
  EXPECT_EQ(Message(AtomicFile::Create(dir / "none/out", 0777)),
            "write " + Quoted(dir / "none/out") + ": no such directory " + Quoted(dir / "none") +
                "; create it");
  EXPECT_EQ(Message(AtomicFile::Create("/dev/null", 0777)),
            "write '/dev/null': exists and is no regular file; choose another name");
  EXPECT_EQ(Message(AtomicFile::Create("", 0777)), "write '': Is a directory");
  EXPECT_EQ(dir.List(), Names{"sub"});
}

}  // namespace
}  // namespace haft
