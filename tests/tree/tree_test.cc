#include "haft/tree/tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "haft/tree/input_directory.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MakeTree;
using testing::Message;
using testing::TempDir;
using testing::WriteTestFile;

std::vector<std::string> Paths(const Tree& tree) {
  std::vector<std::string> paths;
  tree.Walk([&](const std::string& path, const TreeNode&) { paths.push_back(path); });
  return paths;
}

TEST(TreeTest, WalksNamesAsUnsignedBytes) {
  Tree tree = MakeTree({{"b", ""}, {"\xff", ""}, {"a/z", ""}, {"a.b", ""}, {"A", ""}});
  EXPECT_EQ(Paths(tree), (std::vector<std::string>{"A", "a", "a/z", "a.b", "b", "\xff"}));
}

TEST(TreeTest, MissingParentsGetAttributesLater) {
  Tree tree = MakeTree({{"a/b", "x"}});
  EXPECT_EQ(tree.Find("a")->attributes.mode, 0755u);
  EXPECT_EQ(tree.Find("a")->attributes.mtime, kGeneratedTime);
  ASSERT_TRUE(tree.AddDirectory("a", {.mode = 0700, .mtime = 5}, "one"));
  ASSERT_TRUE(tree.AddDirectory("a", {.mode = 0711, .mtime = 6}, "two"));
  EXPECT_EQ(tree.Find("a")->attributes.mode, 0700u);
  EXPECT_EQ(tree.Find("a")->attributes.mtime, 5);
}

TEST(TreeTest, DropsSetuidAndSetgid) {
  Tree tree;
  ASSERT_TRUE(tree.AddText("a", "", {.mode = 0106755}));
  ASSERT_TRUE(tree.AddDirectory("d", {.mode = 03777}, "d"));
  EXPECT_EQ(tree.Find("a")->attributes.mode, 0755u);
  EXPECT_EQ(tree.Find("d")->attributes.mode, 01777u);
}

TEST(TreeTest, SameContentsMergeDifferentOnesNameBothOrigins) {
  Tree tree;
  auto add = [&](std::string text, std::string origin) {
    std::uint64_t size = text.size();
    return tree.AddFile("p/f", {.mode = 0644}, size, FileSource::InMemory(text, origin));
  };
  ASSERT_TRUE(add("text", "one/p/f"));
  ASSERT_TRUE(add("text", "two/p/f"));
  EXPECT_EQ(Message(add("TEXT", "three/p/f")),
            "'p/f': 'one/p/f' and 'three/p/f' differ; one place cannot hold both");
  EXPECT_EQ(Message(tree.AddDirectory("p/f", {}, "four/p/f")),
            "'p/f': 'one/p/f' is a file and 'four/p/f' is a directory; one place cannot hold both");
  EXPECT_EQ(Message(tree.AddText("p/f/g", "")),
            "'p/f': 'one/p/f' is a file and 'p/f/g' is a directory; one place cannot hold both");
  ASSERT_TRUE(tree.AddSymlink("l", {}, "x", "one/l"));
  ASSERT_TRUE(tree.AddSymlink("l", {}, "x", "two/l"));
  EXPECT_EQ(Message(tree.AddSymlink("l", {}, "y", "three/l")),
            "'l': 'one/l' and 'three/l' differ; one place cannot hold both");
}

TEST(TreeTest, OfTwoCachesOfOneSourceTheFirstStays) {
  Tree tree = MakeTree({{"a/x.py", ""},
                        {"a/__pycache__/x.cpython-311.pyc", "1"},
                        {"a/__pycache__/gone.cpython-311.pyc", "1"}});
  EXPECT_TRUE(tree.AddText("a/__pycache__/x.cpython-311.pyc", "2"));
  EXPECT_EQ(*ReadSource(tree.Find("a/__pycache__/x.cpython-311.pyc")->file()->source, 1), "1");
  EXPECT_FALSE(tree.AddText("a/__pycache__/gone.cpython-311.pyc", "2"));
}

TEST(TreeTest, ChecksTheLimitsOfTheFormat) {
  Tree tree;
  EXPECT_TRUE(tree.AddText(std::string(255, 'n'), ""));
  EXPECT_FALSE(tree.AddText(std::string(256, 'n'), ""));
  EXPECT_FALSE(tree.AddText("", ""));
  EXPECT_FALSE(tree.AddText("a//b", ""));
  EXPECT_FALSE(tree.AddText("../b", ""));
  EXPECT_FALSE(tree.AddText("a/.", ""));
  EXPECT_TRUE(tree.AddSymlink("s", {}, std::string(4095, 't'), "s"));
  EXPECT_FALSE(tree.AddSymlink("t", {}, std::string(4096, 't'), "t"));
  EXPECT_FALSE(tree.AddSymlink("e", {}, "", "e"));
  std::string path = "d";
  while (path.size() + 2 <= 4095) path += "/d";
  EXPECT_TRUE(tree.AddText(path.substr(0, 4093) + "/x", "")) << path.size();
  EXPECT_FALSE(tree.AddText(path.substr(0, 4093) + "/xyz", ""));
}

TEST(TreeTest, CapsTimes) {
  Tree tree;
  ASSERT_TRUE(tree.AddText("a", "", {.mode = 0644, .mtime = 100, .mtime_nanoseconds = 1}));
  ASSERT_TRUE(tree.AddText("b", "", {.mode = 0644, .mtime = -7, .mtime_nanoseconds = 1}));
  tree.CapTimes(100);
  EXPECT_EQ(tree.Find("a")->attributes.mtime, 100);
  EXPECT_EQ(tree.Find("a")->attributes.mtime_nanoseconds, 0u);
  EXPECT_EQ(tree.Find("b")->attributes.mtime, -7);
  EXPECT_EQ(tree.root().attributes.mtime, 100);
}

TEST(InputDirectoryTest, TakesFilesDirectoriesAndLinksAsTheyAre) {
  TempDir dir;
  WriteTestFile(dir / "in/pkg/a.py", "print()", 0640);
  WriteTestFile(dir / "in/\xff\xfe", "odd", 0);
  ASSERT_EQ(::mkdir((dir / "in/empty").c_str(), 0711), 0);
  ASSERT_EQ(::symlink("../elsewhere", (dir / "in/link").c_str()), 0);
  ASSERT_EQ(::symlink("in", (dir / "alias").c_str()), 0);
  timespec times[2] = {{1000, 0}, {1000, 5}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir / "in/pkg").c_str(), times, 0), 0);

  Tree tree;
  std::uint64_t files = Expect(AddInputDirectory(dir / "alias", "site-packages", tree));
  EXPECT_EQ(files, 2u);
  EXPECT_EQ(Paths(tree),
            (std::vector<std::string>{"site-packages", "site-packages/empty", "site-packages/link",
                                      "site-packages/pkg", "site-packages/pkg/a.py",
                                      "site-packages/\xff\xfe"}));
  EXPECT_EQ(tree.Find("site-packages/pkg/a.py")->attributes.mode, 0640u);
  EXPECT_EQ(tree.Find("site-packages/empty")->attributes.mode, 0711u);
  EXPECT_EQ(tree.Find("site-packages/pkg")->attributes.mtime, 1000);
  EXPECT_EQ(tree.Find("site-packages/pkg")->attributes.mtime_nanoseconds, 5u);
  EXPECT_EQ(tree.Find("site-packages/link")->symlink()->target, "../elsewhere");
  const TreeNode::File* file = tree.Find("site-packages/pkg/a.py")->file();
  EXPECT_EQ(Expect(ReadSource(file->source, file->size)), "print()");
}

TEST(InputDirectoryTest, RefusesWhatIsMissingOrNoFile) {
  TempDir dir;
  Tree tree;
  EXPECT_EQ(Message(AddInputDirectory(dir / "none", "s", tree)),
            "site-packages " + Quoted(dir / "none") + ": No such file or directory");
  WriteTestFile(dir / "file", "");
  EXPECT_EQ(Message(AddInputDirectory(dir / "file", "s", tree)),
            "site-packages " + Quoted(dir / "file") + ": Not a directory");
  WriteTestFile(dir / "in/a", "");
  ASSERT_EQ(::mkfifo((dir / "in/pipe").c_str(), 0600), 0);
  EXPECT_EQ(Message(AddInputDirectory(dir / "in", "s", tree)),
            Quoted(dir / "in/pipe") +
                ": is a named pipe; only files, directories and symbolic links can be packed");
}

TEST(InputDirectoryTest, NoticesAFileThatChangedItsSize) {
  TempDir dir;
  WriteTestFile(dir / "in/a", "12345");
  Tree tree;
  ASSERT_TRUE(AddInputDirectory(dir / "in", "s", tree));
  WriteTestFile(dir / "in/a", "123456");
  EXPECT_EQ(Message(ReadSource(tree.Find("s/a")->file()->source, 5)),
            Quoted(dir / "in/a") +
                ": changed while it was being packed; build again when nothing writes to it");
}

// The scan saw a directory; when its file was read, it was a link to where only root may read.
TEST(InputDirectoryTest, ADirectoryReplacedByALinkAfterTheScanIsNotFollowed) {
  TempDir dir;
  WriteTestFile(dir / "in/d/shadow", "mine!");
  WriteTestFile(dir / "etc/shadow", "root:");
  Tree tree;
  ASSERT_TRUE(AddInputDirectory(dir / "in", "s", tree));
  ASSERT_EQ(::rename((dir / "in/d").c_str(), (dir / "in/away").c_str()), 0);
  ASSERT_EQ(::symlink("../etc", (dir / "in/d").c_str()), 0);
  EXPECT_EQ(Message(ReadSource(tree.Find("s/d/shadow")->file()->source, 5)),
            Quoted(dir / "in/d/shadow") +
                ": changed while it was being packed; build again when nothing writes to it");
}

TEST(InputDirectoryTest, AnotherFileOfTheSameSizeAndTimeIsNotTakenForTheOneThatWasScanned) {
  TempDir dir;
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  for (const char* name : {"in/a", "in/b", "other"}) {
    WriteTestFile(dir / name, "12345");
    ASSERT_EQ(::utimensat(AT_FDCWD, (dir / name).c_str(), times, 0), 0);
  }
  Tree tree;
  ASSERT_TRUE(AddInputDirectory(dir / "in", "s", tree));
  ASSERT_EQ(::rename((dir / "other").c_str(), (dir / "in/a").c_str()), 0);  // another inode
  WriteTestFile(dir / "in/b", "54321");                                     // another st_ctime
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir / "in/b").c_str(), times, 0), 0);
  for (const char* name : {"s/a", "s/b"})
    EXPECT_FALSE(ReadSource(tree.Find(name)->file()->source, 5)) << name;
}

}  // namespace
}  // namespace haft
