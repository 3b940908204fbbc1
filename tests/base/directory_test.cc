#include "haft/base/directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "support/test_tree.h"

namespace haft {
namespace {

using testing::TempDir;
using testing::WriteTestFile;

using Names = std::vector<std::string>;

UniqueFd Open(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

TEST(DirectoryStreamTest, HasAllNamesButDots) {
  TempDir dir;
  WriteTestFile(dir / "a", "");
  WriteTestFile(dir / "..b/c", "");
  Names names;
  DirectoryStream stream(dir.path());
  ASSERT_TRUE(stream);
  while (const dirent* entry = stream.Next()) names.emplace_back(entry->d_name);
  EXPECT_EQ(errno, 0);
  std::ranges::sort(names);
  EXPECT_EQ(names, (Names{"..b", "a"}));
}

TEST(DirectoryStreamTest, OfADescriptorBeginsAtTheBeginning) {
  TempDir dir;
  WriteTestFile(dir / "a", "");
  UniqueFd fd = Open(dir.path());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(NamesIn(fd.get()), Names{"a"});
}

TEST(DirectoryStreamTest, SaysWhyItCannotRead) {
  TempDir dir;
  DirectoryStream stream(dir / "nothing");
  EXPECT_EQ(errno, ENOENT);
  EXPECT_FALSE(stream);
  EXPECT_EQ(stream.Next(), nullptr);
  EXPECT_TRUE(NamesIn(-1).empty());
}

TEST(OpenDirectoryAtTest, FollowsNoLink) {
  TempDir dir;
  WriteTestFile(dir / "a/file", "");
  ::symlink("a", (dir / "link").c_str());
  UniqueFd fd = Open(dir.path());
  EXPECT_TRUE(OpenDirectoryAt(fd.get(), "a"));
  EXPECT_FALSE(OpenDirectoryAt(fd.get(), "link"));
  EXPECT_FALSE(OpenDirectoryAt(fd.get(), "a/file"));
}

}  // namespace
}  // namespace haft
