#include "haft/base/path.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/test_tree.h"

namespace haft {
namespace {

using testing::TempDir;
using testing::WriteTestFile;

TEST(PathTest, BaseNameIsWhatFollowsTheLastSlash) {
  EXPECT_EQ(BaseName("a/b/c"), "c");
  EXPECT_EQ(BaseName("c"), "c");
  EXPECT_EQ(BaseName("/c"), "c");
  EXPECT_EQ(BaseName("a/"), "");
  EXPECT_EQ(BaseName(""), "");
}

TEST(PathTest, DirNameIsWhatPrecedesTheLastSlash) {
  EXPECT_EQ(DirName("a/b/c"), "a/b");
  EXPECT_EQ(DirName("c"), "");
  EXPECT_EQ(DirName("/c"), "/");
  EXPECT_EQ(DirName("/a/b"), "/a");
  EXPECT_EQ(DirName("a/"), "a");
  EXPECT_EQ(DirName(""), "");
}

TEST(PathTest, JoinPathUndoesDirNameAndBaseName) {
  for (std::string_view path : {"a/b/c", "c", "/c", "/a/b", ""}) {
    EXPECT_EQ(JoinPath(DirName(path), BaseName(path)), path);
  }
}

TEST(IsExecutableFileTest, IsARegularFileThatMayBeExecuted) {
  TempDir dir;
  WriteTestFile(dir / "program", "", 0755);
  WriteTestFile(dir / "text", "", 0644);
  ::symlink("program", (dir / "link").c_str());
  ::symlink("nothing", (dir / "dangling").c_str());
  EXPECT_TRUE(IsExecutableFile(dir / "program"));
  EXPECT_TRUE(IsExecutableFile(dir / "link"));
  EXPECT_FALSE(IsExecutableFile(dir / "text"));
  EXPECT_FALSE(IsExecutableFile(dir / "dangling"));
  EXPECT_FALSE(IsExecutableFile(dir / "nothing"));
}

TEST(IsExecutableFileTest, ADirectoryThatMayBeEnteredIsNone) {
  TempDir dir;
  ASSERT_EQ(::access(dir.path().c_str(), X_OK), 0);
  EXPECT_FALSE(IsExecutableFile(dir.path()));
}

TEST(CandidatesInPathTest, OnlyAbsoluteDirectoriesCount) {
  EXPECT_TRUE(CandidatesInPath("x", "").empty());
  EXPECT_EQ(CandidatesInPath("x", ":/b::c:./d:/e:"), (std::vector<std::string>{"/b/x", "/e/x"}));
}

TEST(FindInPathTest, TakesTheFirstThatCanBeExecuted) {
  TempDir dir;
  ::mkdir((dir / "a").c_str(), 0755);
  ::mkdir((dir / "a/tool").c_str(), 0755);  // a directory of the name
  WriteTestFile(dir / "b/tool", "", 0644);  // not executable
  WriteTestFile(dir / "c/tool", "", 0755);
  WriteTestFile(dir / "d/tool", "", 0755);
  const std::string search_path = dir / "a" + ":" + dir / "b" + ":" + dir / "c" + ":" + dir / "d";
  EXPECT_EQ(FindInPath("tool", search_path), dir / "c/tool");
  EXPECT_EQ(FindInPath("other", search_path), "");
}

TEST(PathTest, KnowsWhereThingsAreMade) {
  EXPECT_EQ(ParentDirectory("b"), ".");
  EXPECT_EQ(ParentDirectory("b//"), ".");
  EXPECT_EQ(ParentDirectory("a/b/"), "a");
  EXPECT_EQ(ParentDirectory("/b"), "/");
  EXPECT_EQ(ParentDirectory("/"), "/");
  EXPECT_EQ(WithoutTrailingSlashes("//"), "/");
}

}  // namespace
}  // namespace haft
