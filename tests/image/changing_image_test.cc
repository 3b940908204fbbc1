// Images whose owner writes to them while they are read: everything is an error or what was packed.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "haft/image/extract.h"
#include "haft/image/image_reader.h"
#include "haft/image/verify.h"
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
using testing::SilentDifferences;
using testing::SilentLookupDifferences;
using testing::Snapshot;
using testing::TakeSnapshot;
using testing::TempDir;

constexpr unsigned kFiles = 60;
constexpr int kRounds = 40;

UniqueFd Duplicate(const UniqueFd& fd) {
  return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
}

// Changes bytes of a file and puts them back, over and over, as long as it lives.
class Flipper {
 public:
  Flipper(const UniqueFd& file, std::vector<std::byte> bytes, std::uint64_t begin,
          std::uint64_t end)
      : file_(Duplicate(file)),
        bytes_(std::move(bytes)),
        thread_([this, begin, end] { Run(begin, end); }) {}
  ~Flipper() {
    stop_ = true;
    thread_.join();
    EXPECT_GT(flips_, 0u);
  }

 private:
  void Run(std::uint64_t begin, std::uint64_t end) {
    std::minstd_rand random(20261130);
    std::uniform_int_distribution<std::uint64_t> place(begin, end - 1);
    std::uniform_int_distribution<int> bit(0, 7);
    while (!stop_) {
      std::uint64_t offset = place(random);
      const std::byte changed = bytes_[offset] ^ std::byte(1 << bit(random));
      std::span<const std::byte> good = std::span(bytes_).subspan(offset, 1);
      static_cast<void>(WriteAllAt(file_.get(), std::span(&changed, 1), offset));
      ::usleep(20);
      static_cast<void>(WriteAllAt(file_.get(), good, offset));
      ++flips_;
    }
  }

  UniqueFd file_;
  std::vector<std::byte> bytes_;
  std::atomic<bool> stop_ = false;
  std::uint64_t flips_ = 0;
  std::thread thread_;
};

// What an extracted file, link or directory is, in one line.
std::string DescribePath(const std::filesystem::path& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) < 0) return "none";
  std::string text = fmt::format("{:o} {}", status.st_mode, status.st_mtim.tv_sec);
  if (S_ISLNK(status.st_mode)) text += " " + std::filesystem::read_symlink(path).string();
  if (!S_ISREG(status.st_mode)) return text;
  const std::string bytes = testing::ReadTestFile(path);
  return fmt::format("{} {} {}", text, bytes.size(),
                     format::ToHex(format::Sha256Of(AsBytes(bytes))));
}

Snapshot DescribeTree(const std::string& root) {
  Snapshot tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
    tree[entry.path().lexically_relative(root)] = DescribePath(entry.path());
  return tree;
}

// The bytes that are flipped.
struct Part {
  std::string name;
  std::function<std::pair<std::uint64_t, std::uint64_t>(const format::BundleFile&)> range;
};

void PrintTo(const Part& part, std::ostream* out) {
  *out << part.name;
}

class ChangingImageTest : public ::testing::TestWithParam<Part> {
 protected:
  ChangingImageTest() {
    ::alarm(240);
    std::tie(begin_, end_) = GetParam().range(OpenReader(bytes_).bundle());
  }
  ~ChangingImageTest() override { ::alarm(0); }

  Flipper Flip() { return Flipper(file_, bytes_, begin_, end_); }

  const std::vector<std::byte> bytes_ = SampleImage(kFiles);
  const UniqueFd file_ = MemoryFile(bytes_);
  std::uint64_t begin_ = 0, end_ = 0;
};

TEST_P(ChangingImageTest, ListsStatsAndReadsAreErrorsOrRight) {
  const Snapshot expected = TakeSnapshot(OpenReader(bytes_));
  Flipper flipper = Flip();
  for (int round = 0; round < kRounds; ++round) {
    auto reader = ImageReader::Open(Duplicate(file_), 4 * 4096);
    if (!reader) continue;
    ASSERT_EQ(SilentDifferences(expected, TakeSnapshot(*reader)), std::vector<std::string>());
    ASSERT_EQ(SilentLookupDifferences(expected, *reader), std::vector<std::string>());
  }
}

TEST_P(ChangingImageTest, WhatWasReadOnceStaysRightInManyThreads) {
  ImageReader reader = OpenReader(Duplicate(file_), 4 * 4096);
  const Snapshot expected = TakeSnapshot(reader);
  Flipper flipper = Flip();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds / 4; ++round)
        EXPECT_EQ(SilentDifferences(expected, TakeSnapshot(reader)), std::vector<std::string>());
    });
  }
}

TEST_P(ChangingImageTest, AnExtractedTreeIsRightOrThereIsNone) {
  TempDir dir;
  ASSERT_EQ(Message(ExtractImage(OpenReader(bytes_), dir / "right", {})), "");
  const Snapshot expected = DescribeTree(dir / "right");
  Flipper flipper = Flip();
  for (int round = 0; round < kRounds / 4; ++round) {
    const std::string target = dir / fmt::format("new{}", round);
    auto reader = ImageReader::Open(Duplicate(file_));
    if (!reader || !ExtractImage(*reader, target, {})) {
      ASSERT_FALSE(std::filesystem::exists(target));
      continue;
    }
    ASSERT_EQ(DescribeTree(target), expected);
    std::filesystem::remove_all(target);
  }
}

TEST_P(ChangingImageTest, VerifyEnds) {
  Flipper flipper = Flip();
  for (int round = 0; round < kRounds; ++round)
    static_cast<void>(VerifyBundle(Duplicate(file_), {}));
}

INSTANTIATE_TEST_SUITE_P(
    Of, ChangingImageTest,
    ::testing::Values(Part{"Index",
                           [](const format::BundleFile& bundle) {
                             return std::pair(bundle.trailer.index_offset,
                                              bundle.trailer.index_offset + bundle.index_size());
                           }},
                      Part{"Blocks",
                           [](const format::BundleFile& bundle) {
                             return std::pair(std::uint64_t{64}, bundle.trailer.index_offset);
                           }},
                      Part{"Anything",
                           [](const format::BundleFile& bundle) {
                             return std::pair(std::uint64_t{0}, bundle.trailer.image_size);
                           }}),
    [](const auto& part) { return part.param.name; });

// The name was checked, then used; in between it was made "../../etc/cron.d/x".
TEST(ChangingImageTest, ANameThatWasCheckedIsTheNameThatIsUsed) {
  const std::vector<std::byte> bytes = SampleImage(kFiles);
  UniqueFd file = MemoryFile(bytes);
  ImageReader reader = OpenReader(Duplicate(file));
  const DirectoryEntry entry = Expect(reader.Resolve("many/0003"));
  ForgedImage forged(bytes);
  const format::BundleFile& bundle = reader.bundle();
  ASSERT_EQ(Message(WriteAllAt(file.get(), AsBytes("../x"),
                               bundle.trailer.index_offset + bundle.strings_offset() +
                                   forged.At("many/0003").name_offset)),
            "");
  EXPECT_EQ(entry.name, "0003");
  EXPECT_TRUE(Expect(reader.Lookup(entry.attributes.parent, "0003")).has_value());
}

// Its record was read twice: for the size that is compared, and for the size that is copied.
TEST(ChangingImageTest, ABlockWhoseRecordGrowsGivesNoMemoryBehindIt) {
  ForgedImage forged(SampleImage(kFiles));
  // A file of which more is said than its block holds: an error, until the block says so as well.
  format::Inode& inode = forged.At("many/0003");
  inode.size = 4096;
  forged.extents[inode.first].length = 4096;
  forged.extents[inode.first].block_offset = 0;
  const std::uint32_t number = forged.extents[inode.first].block;
  ASSERT_LT(forged.blocks[number].raw_size, 4096u);
  const std::vector<std::byte> bytes = forged.Bytes();
  UniqueFd file = MemoryFile(bytes);
  ImageReader reader = OpenReader(Duplicate(file));
  const DirectoryEntry entry = Expect(reader.Resolve("many/0003"));
  std::vector<Slice> slices;
  // A good file of the same block, which is in the cache then.
  EXPECT_EQ(Message(reader.Read(Expect(reader.Resolve("many/0004")).inode, 0, 4096, slices)), "");
  EXPECT_EQ(reader.cache().counters().buffers, 1u);
  EXPECT_FALSE(reader.Read(entry.inode, 0, 4096, slices));
  const format::BundleFile& bundle = reader.bundle();
  const std::uint32_t grown = 4096;
  ASSERT_EQ(
      Message(WriteAllAt(file.get(), std::as_bytes(std::span(&grown, 1)),
                         bundle.trailer.index_offset + bundle.blocks_offset() +
                             number * sizeof(format::Block) + offsetof(format::Block, raw_size))),
      "");
  EXPECT_FALSE(reader.Read(entry.inode, 0, 4096, slices));
}

}  // namespace
}  // namespace haft
