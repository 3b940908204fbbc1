#include "haft/base/safe_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;

constexpr uid_t kSomebody = 4242;

class SafePathTest : public ::testing::Test {
 protected:
  SafePathTest() {
    char real[PATH_MAX];
    if (::realpath(dir_.path().c_str(), real) != nullptr) root_ = real;
  }

  std::string In(const std::string& name) const { return root_ + "/" + name; }
  void Make(const std::string& name, unsigned mode = 0755) const {
    ASSERT_EQ(::mkdir(In(name).c_str(), 0700), 0) << name;
    ASSERT_EQ(::chmod(In(name).c_str(), mode), 0) << name;
  }
  void Link(const std::string& target, const std::string& name) const {
    ASSERT_EQ(::symlink(target.c_str(), In(name).c_str()), 0) << name;
  }
  void Give(const std::string& name, uid_t owner = kSomebody) const {
    ASSERT_EQ(::lchown(In(name).c_str(), owner, owner), 0) << name;
  }
  std::string Refused(const std::string& name) const {
    return Message(OpenSafeDirectory(In(name)));
  }
  std::string RefusedFile(const std::string& name,
                          TrustedOwners owners = TrustedOwners::kRootAndSelf) const {
    return Message(OpenSafeFile(In(name), O_RDONLY, owners));
  }
  std::string Writable(const std::string& name) const {
    return "'" + In(name) + "': others may write to it; run chmod go-w on it, or use another place";
  }
  std::string Foreign(const std::string& name, const std::string& what) const {
    return "'" + In(name) + "': belongs to user 4242, who could " + what;
  }

  testing::TempDir dir_;
  std::string root_;
};

TEST_F(SafePathTest, PathIsWithoutLinksAndDots) {
  Make("a");
  Make("a/b");
  Make("c");
  Link("../a/./b/..", "c/link");
  Link(In("c"), "absolute");
  for (const char* name : {"a/b", "c/link/b", "absolute/link//b/", "./c/../a/b/.", "a/b/../b"})
    EXPECT_EQ(Expect(OpenSafeDirectory(In(name))).path, In("a/b")) << name;
  SafePath found = Expect(OpenSafeDirectory(In("absolute/link/b")));
  struct stat here = {}, there = {};
  EXPECT_EQ(::fstat(found.fd.get(), &here), 0);
  EXPECT_EQ(::stat(In("a/b").c_str(), &there), 0);
  EXPECT_EQ(here.st_ino, there.st_ino);
  EXPECT_EQ(Expect(OpenSafeDirectory("/")).path, "/");
  EXPECT_EQ(Expect(OpenSafeDirectory("/../../tmp")).path, "/tmp");
}

TEST_F(SafePathTest, RelativePathBeginsInTheWorkingDirectory) {
  Make("a");
  char before[PATH_MAX];
  ASSERT_NE(::getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(::chdir(root_.c_str()), 0);
  EXPECT_EQ(Expect(OpenSafeDirectory("a")).path, In("a"));
  EXPECT_EQ(Expect(OpenSafeDirectory("")).path, root_);
  ASSERT_EQ(::chdir(before), 0);
}

TEST_F(SafePathTest, DirectoryThatOthersMayWriteToIsRefusedWhereverItIs) {
  Make("a");
  Make("a/b");
  Make("a/b/c");
  for (unsigned mode : {0777u, 0775u, 0757u, 02775u}) {
    ASSERT_EQ(::chmod(In("a").c_str(), mode), 0);
    for (const char* name : {"a", "a/b", "a/b/c"}) EXPECT_EQ(Refused(name), Writable("a")) << name;
    EXPECT_EQ(Refused("a/.."), Writable("a")) << "it is passed";
  }
  for (unsigned mode : {01777u, 01775u, 0700u, 0711u}) {
    ASSERT_EQ(::chmod(In("a").c_str(), mode), 0);
    for (const char* name : {"a", "a/b", "a/b/c"}) EXPECT_EQ(Refused(name), "") << name;
  }
}

TEST_F(SafePathTest, WhereALinkLeadsIsCheckedToo) {
  Make("good");
  Make("open", 0777);
  Make("open/b");
  Link("../open/b", "good/link");
  Link("good/link", "first");
  EXPECT_EQ(Refused("good/link"), Writable("open"));
  EXPECT_EQ(Refused("first"), Writable("open"));
  ASSERT_EQ(::chmod(In("open").c_str(), 0755), 0);
  EXPECT_EQ(Refused("first"), "");
  Link("loop", "loop");
  EXPECT_EQ(Refused("loop"), "'" + In("loop") + "': Too many levels of symbolic links");
  Link("nowhere", "dangling");
  EXPECT_EQ(Refused("dangling"), "'" + In("nowhere") + "': No such file or directory");
}

TEST_F(SafePathTest, DirectoryOfAnotherUserIsRefusedWhereverItIs) {
  if (::geteuid() != 0) GTEST_SKIP() << "cannot give files away";
  Make("theirs");
  Make("theirs/ours");
  Make("theirs/ours/deep");
  Give("theirs");
  for (const char* name : {"theirs", "theirs/ours", "theirs/ours/deep"})
    EXPECT_EQ(Refused(name), Foreign("theirs", "replace what is in it")) << name;
  ASSERT_EQ(::chmod(In("theirs").c_str(), 01755), 0);
  EXPECT_EQ(Refused("theirs/ours"), Foreign("theirs", "replace what is in it"))
      << "a sticky bit does not bind its owner";
  Make("tmp", 01777);
  Make("tmp/theirs", 0700);
  Give("tmp/theirs");
  EXPECT_EQ(Refused("tmp/theirs"), Foreign("tmp/theirs", "replace what is in it"));
}

TEST_F(SafePathTest, LinkThatAnotherUserMadeInASharedDirectoryIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "cannot give files away";
  Make("good");
  Make("tmp", 01777);
  Link("../good", "tmp/theirs");
  Link("../good", "tmp/ours");
  Give("tmp/theirs");
  EXPECT_EQ(Refused("tmp/theirs"), Foreign("tmp/theirs", "point it elsewhere"));
  EXPECT_EQ(Refused("tmp/ours"), "");
  Make("closed");
  Link("../good", "closed/theirs");
  Give("closed/theirs");
  EXPECT_EQ(Refused("closed/theirs"), "") << "its owner cannot replace it there";
}

TEST_F(SafePathTest, FileIsRegularAndNotForOthersToChange) {
  Make("d");
  testing::WriteTestFile(In("d/file"), "text");
  Link("d/file", "link");
  SafePath file = Expect(OpenSafeFile(In("link"), O_RDONLY));
  EXPECT_EQ(file.path, In("d/file"));
  char text[8];
  EXPECT_EQ(::read(file.fd.get(), text, sizeof text), 4);
  EXPECT_EQ(RefusedFile("d"), "'" + In("d") + "': not a regular file");
  EXPECT_EQ(RefusedFile("d/.."), "'" + root_ + "': Is a directory");
  EXPECT_EQ(RefusedFile("d/file/x"), "'" + In("d/file") + "': Not a directory");
  EXPECT_EQ(RefusedFile("d/none"), "'" + In("d/none") + "': No such file or directory");
  ASSERT_EQ(::mkfifo(In("d/fifo").c_str(), 0600), 0);
  EXPECT_EQ(RefusedFile("d/fifo"), "'" + In("d/fifo") + "': not a regular file");
  ASSERT_EQ(::chmod(In("d/file").c_str(), 0664), 0);
  EXPECT_EQ(RefusedFile("link"), Writable("d/file"));
  ASSERT_EQ(::chmod(In("d/file").c_str(), 0600), 0);
  ASSERT_EQ(::chmod(In("d").c_str(), 0777), 0);
  EXPECT_EQ(RefusedFile("link"), Writable("d"));
}

TEST_F(SafePathTest, FilesOfThisUserAreNotRoots) {
  if (::geteuid() != 0) {
    EXPECT_NE(Message(OpenSafeDirectory(root_, TrustedOwners::kRoot)), "");
    return;
  }
  Make("d");
  testing::WriteTestFile(In("d/file"), "text");
  EXPECT_EQ(RefusedFile("d/file", TrustedOwners::kRoot), "");
  Give("d/file");
  EXPECT_EQ(RefusedFile("d/file", TrustedOwners::kRoot), Foreign("d/file", "change it"));
  EXPECT_EQ(RefusedFile("d/file"), Foreign("d/file", "change it"));
  Give("d");
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  ASSERT_EQ(::seteuid(kSomebody), 0);
  EXPECT_EQ(RefusedFile("d/file"), "");
  EXPECT_EQ(RefusedFile("d/file", TrustedOwners::kRoot), Foreign("d", "replace what is in it"));
  ASSERT_EQ(::seteuid(0), 0);
}

TEST_F(SafePathTest, MapOfANamespaceSaysWhomItKnows) {
  constexpr std::string_view kHost = "         0          0 4294967295\n";
  EXPECT_TRUE(internal::IsMapped(kHost, 0));
  EXPECT_TRUE(internal::IsMapped(kHost, 65534));
  EXPECT_FALSE(internal::IsMapped("1000 1000 1\n", 0));
  EXPECT_FALSE(internal::IsMapped("1000 1000 1\n", 65534));
  EXPECT_TRUE(internal::IsMapped("1000 1000 1\n", 1000));
  constexpr std::string_view kContainer = "0 1000 1\n1 100000 65536\n";
  EXPECT_TRUE(internal::IsMapped(kContainer, 65534));
  EXPECT_FALSE(internal::IsMapped(kContainer, 65537));
  EXPECT_FALSE(internal::IsMapped("", 0));
  EXPECT_FALSE(internal::IsMapped("odd\n", 1));
}

}  // namespace
}  // namespace haft
