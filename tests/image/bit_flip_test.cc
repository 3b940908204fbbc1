// Accidents: one bit of a file changes, or its end is missing while it is in use.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "haft/image/image_reader.h"
#include "haft/image/verify.h"
#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::BuildImage;
using testing::Expect;
using testing::FakeRuntime;
using testing::JoinBundle;
using testing::MemoryFile;
using testing::Message;
using testing::OpenReader;
using testing::SampleImage;
using testing::SampleTree;
using testing::SilentDifferences;
using testing::SilentLookupDifferences;
using testing::Snapshot;
using testing::TakeSnapshot;
using testing::ThreadSeconds;

// Sanitizers make a flip twenty times slower, and what they look for shows in fewer.
#if defined(__SANITIZE_ADDRESS__)
#define HAFT_SLOW_BUILD 1
#elif defined(__has_feature)
#define HAFT_SLOW_BUILD __has_feature(address_sanitizer)
#else
#define HAFT_SLOW_BUILD 0
#endif
constexpr int kFlips = HAFT_SLOW_BUILD ? 1'000 : 10'000;
constexpr unsigned kWatchdogSeconds = 60;  // a hang kills the test

UniqueFd Duplicate(const UniqueFd& fd) {
  return UniqueFd(::dup(fd.get()));
}

std::vector<std::byte> SampleBundle() {
  auto runtime = FakeRuntime(5000);
  auto image = BuildImage(SampleTree(), {.block_size = 4096,
                                         .workers = 1,
                                         .runtime_size = runtime.size(),
                                         .runtime_digest = format::Sha256Of(runtime),
                                         .progress = {}});
  return JoinBundle(runtime, image);
}

TEST(BitFlipTest, NeverChangesWhatIsReadWithoutAnErrorAndVerifyFindsIt) {
  std::vector<std::byte> bytes = SampleBundle();
  UniqueFd file = MemoryFile(bytes);
  Snapshot expected = TakeSnapshot(OpenReader(Duplicate(file)));
  ASSERT_TRUE(Expect(VerifyBundle(Duplicate(file), {})).problems.empty());

  constexpr unsigned kSeed = 4711;
  std::mt19937_64 chance(kSeed);
  int refused = 0, harmless = 0;
  double slowest = 0;
  for (int i = 0; i < kFlips; ++i) {
    std::uint64_t bit = chance() % (bytes.size() * 8), position = bit / 8;
    std::byte flipped = bytes[position] ^ (std::byte{1} << (bit % 8));
    ASSERT_EQ(Message(WriteAllAt(file.get(), std::span(&flipped, 1), position)), "");
    std::string context = fmt::format("bit {} of byte {} of {}", bit % 8, position, bytes.size());
    ::alarm(kWatchdogSeconds);
    double start = ThreadSeconds();

    auto reader = ImageReader::Open(Duplicate(file));
    if (!reader) {
      ++refused;
      ASSERT_NE(reader.error().kind(), ErrorKind::kSystem) << context;
    } else {
      Snapshot seen = TakeSnapshot(*reader);
      ASSERT_EQ(SilentDifferences(expected, seen), std::vector<std::string>()) << context;
      // Finding names is a path of its own; every path of many would double the time.
      if (i % 8 == 0) {
        ASSERT_EQ(SilentLookupDifferences(expected, *reader), std::vector<std::string>())
            << context;
      }
      harmless += seen == expected;
    }
    auto report = VerifyBundle(Duplicate(file), {});
    if (report) {
      ASSERT_FALSE(report->problems.empty()) << context << " is not found by verify";
    }

    slowest = std::max(slowest, ThreadSeconds() - start);
    ASSERT_LT(slowest, 1.0) << context;
    ASSERT_EQ(Message(WriteAllAt(file.get(), std::span(&bytes[position], 1), position)), "");
  }
  ::alarm(0);
  // Trailer and chunk digests are checked when it is opened; the runtime, paddings and header are
  // not read.
  EXPECT_GT(refused, 0);
  EXPECT_GT(harmless, 0);
  EXPECT_LT(harmless, kFlips / 2);
  fmt::print(
      "{} flips in {} bytes, seed {}: {} refused, {} without effect, the rest errors; slowest "
      "{:.1f} ms\n",
      kFlips, bytes.size(), kSeed, refused, harmless, slowest * 1000);
}

TEST(CutOffTest, AFileCutWhileItIsOpenGivesErrorsNotOtherBytes) {
  std::vector<std::byte> bytes = SampleImage();
  Snapshot expected = TakeSnapshot(OpenReader(bytes));
  ::alarm(kWatchdogSeconds);
  // Everything has been checked before, or nothing.
  for (bool warm : {false, true}) {
    for (std::size_t size = 0; size < bytes.size(); size += 509) {
      UniqueFd file = MemoryFile(bytes);
      ImageReader reader = OpenReader(Duplicate(file), 8192);
      if (warm) {
        ASSERT_EQ(TakeSnapshot(reader), expected);
      }
      ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
      bool by_listing = size / 509 % 2 == 0;
      auto differences = by_listing ? SilentDifferences(expected, TakeSnapshot(reader))
                                    : SilentLookupDifferences(expected, reader);
      ASSERT_EQ(differences, std::vector<std::string>()) << "cut at " << size << ", warm " << warm;
    }
  }
  ::alarm(0);
}

TEST(CutOffTest, RecordsCutInTheMiddleAreErrors) {
  // The end of a cut-off file's last page reads as zeros, and half a record of zeros can look like
  // a good one.
  std::vector<std::byte> bytes = SampleImage(20);
  Snapshot expected = TakeSnapshot(OpenReader(bytes));
  format::Trailer trailer = testing::TrailerOf(bytes);
  ::alarm(kWatchdogSeconds);
  for (std::size_t size = trailer.index_offset; size < trailer.manifest_offset; size += 3) {
    UniqueFd file = MemoryFile(bytes);
    ImageReader reader = OpenReader(Duplicate(file));
    ASSERT_EQ(TakeSnapshot(reader), expected);  // every chunk is checked
    ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
    auto differences = size % 2 == 0 ? SilentDifferences(expected, TakeSnapshot(reader))
                                     : SilentLookupDifferences(expected, reader);
    ASSERT_EQ(differences, std::vector<std::string>()) << "cut at " << size;
  }
  ::alarm(0);
}

TEST(CutOffTest, AFileOverwrittenWithAnotherImageGivesErrors) {
  std::vector<std::byte> bytes = SampleImage(20);
  UniqueFd file = MemoryFile(bytes);
  ImageReader reader = OpenReader(Duplicate(file));
  Snapshot expected = TakeSnapshot(reader);
  Tree other;
  ASSERT_EQ(Message(other.AddText("many/0003", "other contents")), "");
  std::vector<std::byte> others =
      BuildImage(other, {.block_size = 4096, .workers = 1, .progress = {}});
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  ASSERT_EQ(Message(WriteAllAt(file.get(), others, 0)), "");
  EXPECT_EQ(SilentDifferences(expected, TakeSnapshot(reader)), std::vector<std::string>());
}

TEST(CutOffTest, AFileOverwrittenByteForByteGivesErrors) {
  std::vector<std::byte> bytes = SampleImage(20);
  UniqueFd file = MemoryFile(bytes);
  ImageReader reader = OpenReader(Duplicate(file));
  Snapshot expected = TakeSnapshot(reader);
  testing::ForgedImage forged(bytes);
  forged.strings[forged.At("many/0019").name_offset + 3] = 'z';
  std::vector<std::byte> others = forged.Bytes();
  ASSERT_EQ(others.size(), bytes.size());
  ASSERT_EQ(Message(WriteAllAt(file.get(), others, 0)), "");
  EXPECT_EQ(SilentDifferences(expected, TakeSnapshot(reader)), std::vector<std::string>());
  EXPECT_EQ(SilentLookupDifferences(expected, reader), std::vector<std::string>());
}

TEST(CutOffTest, ALookupInNamesThatAreGoneIsRightOrAnErrorNotAMiss) {
  std::vector<std::byte> bytes = SampleImage();
  UniqueFd file = MemoryFile(bytes);
  ImageReader reader = OpenReader(Duplicate(file));
  DirectoryEntry many = Expect(reader.Resolve("many"));
  ASSERT_TRUE(Expect(reader.Lookup(many.inode, "0150")).has_value());
  // The inodes stay, the names are cut off.
  const format::BundleFile& bundle = reader.bundle();
  std::uint64_t names = bundle.trailer.index_offset + bundle.strings_offset();
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(names)), 0);
  // The reader may have its own copy already.
  EXPECT_TRUE(Expect(reader.Lookup(many.inode, "0150")).has_value());
  for (unsigned i = 0; i < 300; ++i) {
    auto other = reader.Lookup(many.inode, fmt::format("{:04}", i));
    if (other) {
      EXPECT_TRUE(other->has_value()) << i;
    } else {
      EXPECT_EQ(other.error().kind(), ErrorKind::kCorrupt) << i;
    }
  }
}

}  // namespace
}  // namespace haft
