#include "haft/base/mapped_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "haft/base/file_io.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::MemoryFile;
using testing::Message;

constexpr std::size_t kPage = 4096;

// A file of `pages` pages, the first filled with 'a', the next with 'b', …
UniqueFd LetterFile(std::size_t pages) {
  std::string text;
  for (std::size_t i = 0; i < pages; ++i) text.append(kPage, static_cast<char>('a' + i));
  return MemoryFile(AsBytes(text));
}

char Letter(const MappedFile& file, std::size_t offset) {
  return static_cast<char>(*const_cast<const volatile std::byte*>(file.bytes().data() + offset));
}

TEST(MappedFileTest, ShowsThePartAskedFor) {
  UniqueFd fd = LetterFile(3);
  auto file = MappedFile::Map(fd.get(), kPage, kPage + 10);
  ASSERT_EQ(Message(file), "");
  EXPECT_EQ(file->bytes().size(), kPage + 10);
  EXPECT_EQ(Letter(*file, 0), 'b');
  EXPECT_EQ(Letter(*file, kPage), 'c');
  EXPECT_FALSE(file->damaged());
}

TEST(MappedFileTest, MapsNothing) {
  auto file = MappedFile::Map(LetterFile(1).get(), 0, 0);
  ASSERT_EQ(Message(file), "");
  EXPECT_TRUE(file->bytes().empty());
  EXPECT_FALSE(file->damaged());
}

TEST(MappedFileTest, RefusesAnUnalignedOffset) {
  EXPECT_EQ(Message(MappedFile::Map(LetterFile(1).get(), 1, 10)), "mmap: Invalid argument");
}

TEST(MappedFileTest, ReadsZerosWhereTheFileWasCutOffAndSaysSo) {
  UniqueFd fd = LetterFile(4);
  auto file = MappedFile::Map(fd.get(), 0, 4 * kPage);
  auto other = MappedFile::Map(fd.get(), 0, kPage);
  ASSERT_EQ(Message(file), "");
  EXPECT_EQ(Letter(*file, 3 * kPage), 'd');
  ASSERT_EQ(::ftruncate(fd.get(), kPage), 0);
  EXPECT_FALSE(file->damaged()) << "nobody has touched the missing pages yet";
  EXPECT_EQ(Letter(*file, 3 * kPage + 5), '\0');
  EXPECT_TRUE(file->damaged());
  EXPECT_EQ(Letter(*file, 2 * kPage - 1), '\0');
  EXPECT_EQ(Letter(*file, 0), 'a');
  EXPECT_TRUE(file->damaged()) << "for good";
  EXPECT_FALSE(other->damaged()) << "every mapping has its own flag";
}

TEST(MappedFileTest, MovingKeepsTheBytesAndTheFlag) {
  UniqueFd fd = LetterFile(2);
  auto file = MappedFile::Map(fd.get(), 0, 2 * kPage);
  const std::byte* address = file->bytes().data();
  MappedFile moved = *std::move(file);
  EXPECT_EQ(moved.bytes().data(), address);
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  EXPECT_EQ(Letter(moved, 0), '\0');
  EXPECT_TRUE(moved.damaged());
  auto fresh = MappedFile::Map(LetterFile(1).get(), 0, kPage);
  moved = *std::move(fresh);
  EXPECT_FALSE(moved.damaged());
  EXPECT_EQ(Letter(moved, 0), 'a');
}

TEST(MappedFileTest, AFreedPlaceIsUsedAgainWithoutOldDamage) {
  for (int i = 0; i < 100; ++i) {
    UniqueFd fd = LetterFile(1);
    auto file = MappedFile::Map(fd.get(), 0, kPage);
    ASSERT_EQ(Message(file), "");
    ASSERT_FALSE(file->damaged());
    ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
    ASSERT_EQ(Letter(*file, 0), '\0');
    ASSERT_TRUE(file->damaged());
  }
}

TEST(MappedFileTest, RefusesMoreThanSixteen) {
  UniqueFd fd = LetterFile(1);
  std::vector<MappedFile> files;
  for (int i = 0; i < 16; ++i) {
    auto file = MappedFile::Map(fd.get(), 0, kPage);
    ASSERT_EQ(Message(file), "") << i;
    files.push_back(*std::move(file));
  }
  EXPECT_EQ(Message(MappedFile::Map(fd.get(), 0, kPage)), "too many mapped files");
  files.pop_back();
  EXPECT_EQ(Message(MappedFile::Map(fd.get(), 0, kPage)), "");
}

// A sanitizer has a handler of its own, which is then the previous disposition: it exits.
bool DiedOfBusError(int status) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
#endif
#endif
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

TEST(MappedFileDeathTest, AFaultElsewhereStillKills) {
  UniqueFd fd = LetterFile(1);
  auto ours = MappedFile::Map(fd.get(), 0, kPage);
  ASSERT_EQ(Message(ours), "");
  EXPECT_EXIT(
      {
        UniqueFd other = LetterFile(1);
        auto* page = static_cast<volatile char*>(
            ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, other.get(), 0));
        if (::ftruncate(other.get(), 0) != 0) ::_exit(0);
        ::_exit(page[0] == 0 ? 0 : 0);
      },
      DiedOfBusError, "");
}

TEST(MappedFileDeathTest, ABusErrorSentByAProcessStillKills) {
  UniqueFd fd = LetterFile(1);
  auto ours = MappedFile::Map(fd.get(), 0, kPage);
  ASSERT_EQ(Message(ours), "");
  EXPECT_EXIT(
      {
        ::kill(::getpid(), SIGBUS);
        ::_exit(0);
      },
      DiedOfBusError, "");
}

TEST(MappedFileDeathTest, AnUnmappedFileIsNotOurs) {
  UniqueFd fd = LetterFile(1);
  EXPECT_EXIT(
      {
        { auto gone = MappedFile::Map(fd.get(), 0, kPage); }
        auto* page =
            static_cast<volatile char*>(::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd.get(), 0));
        if (::ftruncate(fd.get(), 0) != 0) ::_exit(0);
        ::_exit(page[0] == 0 ? 0 : 0);
      },
      DiedOfBusError, "");
}

}  // namespace
}  // namespace haft
