#include "haft/base/file_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MemoryFile;
using testing::Message;
using testing::TempDir;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(FitsWithinTest, NeverOverflows) {
  EXPECT_TRUE(FitsWithin(0, 0, 0));
  EXPECT_TRUE(FitsWithin(0, 10, 10));
  EXPECT_TRUE(FitsWithin(10, 0, 10));
  EXPECT_FALSE(FitsWithin(11, 0, 10));
  EXPECT_FALSE(FitsWithin(1, 10, 10));
  EXPECT_FALSE(FitsWithin(kMax, 2, kMax));
  EXPECT_FALSE(FitsWithin(2, kMax, kMax));
  EXPECT_FALSE(FitsWithin(kMax, kMax, 10));
  EXPECT_TRUE(FitsWithin(0, kMax, kMax));
}

TEST(OpenFileTest, NamesThePathAndClosesOnExec) {
  TempDir dir;
  EXPECT_EQ(Message(OpenFile(dir / "a\nb", O_RDONLY)),
            "'" + (dir / "a") + "\\x0ab': No such file or directory");
  auto made = OpenFile(dir / "new", O_WRONLY | O_CREAT, 0600);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(::fcntl(made->get(), F_GETFD), FD_CLOEXEC);
}

TEST(ReadTest, ReadsUpToTheEnd) {
  UniqueFd fd = MemoryFile(AsBytes("0123456789"));
  std::array<std::byte, 8> out;
  EXPECT_EQ(Expect(FileSize(fd.get())), 10u);
  EXPECT_EQ(Expect(ReadUpTo(fd.get(), out, 1)), 8u);
  EXPECT_EQ(AsText(out), "12345678");
  EXPECT_EQ(Expect(ReadUpTo(fd.get(), out, 7)), 3u);
  EXPECT_EQ(Expect(ReadUpTo(fd.get(), out, 10)), 0u);
  EXPECT_EQ(Expect(ReadUpTo(fd.get(), out, 1000)), 0u);
  EXPECT_EQ(Message(ReadUpTo(fd.get(), out, kMax)), "read: Invalid argument");
}

TEST(ReadTest, ExactlySaysWhatIsThereAndWhatIsNeeded) {
  UniqueFd fd = MemoryFile(AsBytes("0123456789"));
  std::array<std::byte, 8> out;
  EXPECT_EQ(Message(ReadExactly(fd.get(), out, 2)), "");
  auto cut = ReadExactly(fd.get(), out, 3);
  EXPECT_EQ(Message(cut), "the file ends after 10 bytes, 11 needed");
  EXPECT_EQ(cut.error().kind(), ErrorKind::kCorrupt);
}

TEST(WriteTest, WritesEverythingInOrder) {
  UniqueFd fd = MemoryFile({});
  EXPECT_EQ(Message(WriteAll(fd.get(), AsBytes("abc"))), "");
  EXPECT_EQ(Message(WriteAll(fd.get(), AsBytes("def"))), "");
  EXPECT_EQ(Message(WriteAllAt(fd.get(), AsBytes("XY"), 1)), "");
  EXPECT_EQ(Message(WriteAllAt(fd.get(), AsBytes("end"), 10)), "");
  std::array<std::byte, 13> out;
  EXPECT_EQ(Message(ReadExactly(fd.get(), out, 0)), "");
  EXPECT_EQ(AsText(out), std::string_view("aXYdef\0\0\0\0end", 13));
}

TEST(WriteTest, ReportsFullDisk) {
  UniqueFd full = Expect(OpenFile("/dev/full", O_WRONLY));
  EXPECT_EQ(Message(WriteAll(full.get(), AsBytes("x"))), "write: No space left on device");
}

TEST(WriteTest, SurvivesAPipeThatTakesLittleAtATime) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reading(ends[0]), writing(ends[1]);
  std::string text(300'000, 'x');
  pid_t child = ::fork();
  if (child == 0) {
    reading.Reset();
    ::_exit(WriteAll(writing.get(), AsBytes(text)) ? 0 : 1);
  }
  writing.Reset();
  std::size_t total = 0;
  std::array<char, 4096> buffer;
  for (ssize_t n; (n = ::read(reading.get(), buffer.data(), buffer.size())) > 0;)
    total += static_cast<std::size_t>(n);
  EXPECT_EQ(total, text.size());
}

TEST(ReadWholeFileTest, RefusesMoreThanTheLimit) {
  TempDir dir;
  testing::WriteTestFile(dir / "file", std::string(100, 'x'));
  EXPECT_EQ(Expect(ReadWholeFile(dir / "file", 100)).size(), 100u);
  EXPECT_EQ(Message(ReadWholeFile(dir / "file", 99)),
            "'" + (dir / "file") + "': larger than 99 bytes");
  EXPECT_EQ(Message(ReadWholeFile(dir.path())), "'" + dir.path() + "': Is a directory");
  EXPECT_FALSE(Expect(ReadWholeFile("/proc/self/stat")).empty());  // st_size is 0
}

TEST(UniqueFdTest, OwnsOneDescriptorAndKeepsErrno) {
  int raw = ::memfd_create("test", MFD_CLOEXEC);
  {
    UniqueFd fd(raw);
    UniqueFd moved = std::move(fd);
    EXPECT_EQ(moved.get(), raw);
    moved = UniqueFd(::dup(raw));
    EXPECT_EQ(::fcntl(raw, F_GETFD), -1) << "the replaced descriptor is still open";
    raw = moved.get();
    errno = ENOTTY;
  }
  EXPECT_EQ(errno, ENOTTY);
  EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
  EXPECT_FALSE(UniqueFd());
}

}  // namespace
}  // namespace haft
