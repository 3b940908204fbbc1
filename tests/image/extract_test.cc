#include "haft/image/extract.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::ForgedImage;
using testing::MemoryFile;
using testing::Message;
using testing::OpenReader;
using testing::SampleImage;
using testing::SampleTree;
using testing::TempDir;

struct stat Lstat(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

TEST(ExtractTest, MakesTheTreeThatWasPacked) {
  TempDir dir;
  std::string target = dir / "new";
  std::uint64_t done = 0;
  ASSERT_EQ(Message(ExtractImage(OpenReader(SampleImage()), target,
                                 [&](std::uint64_t bytes) { done = bytes; })),
            "");
  EXPECT_GT(done, 50'000u);
  Tree tree = SampleTree();
  std::size_t nodes = 0;
  tree.Walk([&](const std::string& relative, const TreeNode& node) {
    ++nodes;
    std::string path = target + "/" + relative;
    struct stat status = Lstat(path);
    EXPECT_EQ(status.st_mtim.tv_sec, node.attributes.mtime) << path;
    EXPECT_EQ(status.st_mtim.tv_nsec, node.attributes.mtime_nanoseconds) << path;
    if (const auto* link = node.symlink()) {
      EXPECT_EQ(std::filesystem::read_symlink(path).string(), link->target);
      return;
    }
    EXPECT_EQ(status.st_mode & 07777, node.attributes.mode) << path;
    if (const auto* file = node.file()) {
      EXPECT_TRUE(S_ISREG(status.st_mode));
      if (::geteuid() == 0 || (node.attributes.mode & 0400) != 0) {
        EXPECT_EQ(testing::ReadTestFile(path), Expect(ReadSource(file->source, file->size)))
            << path;
      }
    } else {
      EXPECT_TRUE(S_ISDIR(status.st_mode));
    }
  });
  std::size_t found = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::recursive_directory_iterator(target))
    ++found;
  EXPECT_EQ(found, nodes);
  EXPECT_LT(Lstat(target + "/site-packages/zeros").st_blocks * 512, 50'000) << "holes stay holes";
  EXPECT_EQ(dir.List(), std::vector<std::string>{"new"});
}

TEST(ExtractTest, TakesAnEmptyDirectoryAndATrailingSlash) {
  TempDir dir;
  ASSERT_EQ(::mkdir((dir / "empty").c_str(), 0700), 0);
  EXPECT_EQ(Message(ExtractImage(OpenReader(SampleImage(1)), (dir / "empty") + "//", {})), "");
  EXPECT_EQ(testing::ReadTestFile(dir / "empty/many/0000"), "file 0\n");
  EXPECT_EQ(dir.List(), std::vector<std::string>{"empty"});
}

TEST(ExtractTest, RefusesAndKeepsADirectoryWithSomethingInIt) {
  TempDir dir;
  testing::WriteTestFile(dir / "full/precious", "keep me");
  EXPECT_EQ(Message(ExtractImage(OpenReader(SampleImage(1)), dir / "full", {})),
            "extract into '" + (dir / "full") +
                "': Directory not empty; the directory must not exist or be empty");
  EXPECT_EQ(dir.List(), std::vector<std::string>{"full"});
  EXPECT_EQ(testing::ReadTestFile(dir / "full/precious"), "keep me");
}

TEST(ExtractTest, RefusesAFileInTheWay) {
  TempDir dir;
  testing::WriteTestFile(dir / "file", "keep me");
  EXPECT_NE(Message(ExtractImage(OpenReader(SampleImage(1)), dir / "file", {})), "");
  EXPECT_EQ(testing::ReadTestFile(dir / "file"), "keep me");
  EXPECT_EQ(dir.List(), std::vector<std::string>{"file"});
}

TEST(ExtractTest, NamesAMissingParent) {
  TempDir dir;
  std::string parent = dir / "no/such";
  EXPECT_EQ(Message(ExtractImage(OpenReader(SampleImage(1)), parent + "/dir", {})),
            "'" + parent + "': No such file or directory");
  EXPECT_TRUE(dir.List().empty());
}

TEST(ExtractTest, DamageLeavesNothing) {
  // In the contents, in a chunk of the index, and in a record.
  std::vector<std::byte> contents = SampleImage(), index = SampleImage();
  contents[testing::TrailerOf(contents).index_offset / 2] ^= std::byte{1};
  index[testing::TrailerOf(index).index_offset + 16384 + 1] ^= std::byte{1};
  ForgedImage forged(SampleImage());
  forged.At("site-packages/text").mode = 0;
  for (const auto& image : {contents, index, forged.Bytes()}) {
    TempDir dir;
    auto done = ExtractImage(OpenReader(image), dir / "new", {});
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().kind(), ErrorKind::kCorrupt);
    EXPECT_TRUE(dir.List().empty()) << dir.List()[0];
  }
}

TEST(ExtractTest, FailureRemovesReadOnlyDirectoriesToo) {
  Tree tree;
  ASSERT_EQ(Message(tree.AddText("a/b/file", "x")), "");
  ASSERT_EQ(Message(tree.AddDirectory("a/b", {.mode = 0500}, "test")), "");
  ASSERT_EQ(Message(tree.AddDirectory("a", {.mode = 0000}, "test")), "");
  ASSERT_EQ(Message(tree.AddText("z", "y")), "");
  ForgedImage forged(testing::BuildImage(tree));
  forged.At("z").size = 2;
  TempDir dir;
  EXPECT_NE(Message(ExtractImage(OpenReader(forged.Bytes()), dir / "new", {})), "");
  EXPECT_TRUE(dir.List().empty());
}

TEST(ExtractTest, FailureRemovesTreesDeeperThanDescriptors) {
  Tree tree;
  std::string path;
  for (int i = 0; i < 600; ++i) path += "d/";
  ASSERT_EQ(Message(tree.AddText(path + "file", "x")), "");
  ASSERT_EQ(Message(tree.AddText("z", "y")), "");
  ForgedImage forged(testing::BuildImage(tree));
  forged.At("z").size = 2;
  TempDir dir;
  ImageReader reader = OpenReader(forged.Bytes());
  EXPECT_NE(Message(ExtractImage(reader, dir / "new", {})), "");
  EXPECT_TRUE(dir.List().empty());

  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = {.rlim_cur = 100, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_NE(Message(ExtractImage(reader, dir / "new", {})), "");
  EXPECT_TRUE(dir.List().empty());
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(ExtractTest, RemovesWhatAKilledOneLeft) {
  TempDir dir;
  ASSERT_EQ(::mkdir((dir / ".haft-extract-mine").c_str(), 0700), 0);  // no such name
  testing::WriteTestFile(dir / ".haft-extract-000001/a/b", "left");
  testing::WriteTestFile(dir / ".haft-extract-000002/a/b", "in use");
  UniqueFd used(::open((dir / ".haft-extract-000002").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(used.get(), LOCK_EX), 0);
  EXPECT_EQ(Message(ExtractImage(OpenReader(SampleImage(1)), dir / "new", {})), "");
  std::vector<std::string> left = dir.List();
  std::ranges::sort(left);
  EXPECT_EQ(left, (std::vector<std::string>{".haft-extract-000002", ".haft-extract-mine", "new"}));
}

TEST(ExtractTest, NeverWritesOutsideOfItsDirectory) {
  TempDir dir;
  ASSERT_EQ(::mkdir((dir / "outside").c_str(), 0700), 0);
  for (std::string_view name : {"../outside/x", "/outside", "..", ".", "a/b"}) {
    ForgedImage forged(SampleImage(1));
    forged.Rename("many/0000", name);
    EXPECT_NE(Message(ExtractImage(OpenReader(forged.Bytes()), dir / "new", {})), "") << name;
  }
  // A symbolic link and a file of the same name: the file must not be written through the link.
  ForgedImage forged(SampleImage(2));
  format::Inode& link = forged.At("many/0000");
  link.mode = S_IFLNK | 0777;
  link.first = forged.AddString("../../outside/x");
  link.size = 15;
  link.count = 0;
  forged.Rename("many/0001", "0000");
  EXPECT_NE(Message(ExtractImage(OpenReader(forged.Bytes()), dir / "new", {})), "");
  EXPECT_TRUE(std::filesystem::is_empty(dir / "outside"));
  EXPECT_EQ(dir.List(), std::vector<std::string>{"outside"});
}

}  // namespace
}  // namespace haft
