// Every field of an image's records with the values at its edges.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "format/forged_image.h"
#include "haft/format/manifest.h"
#include "haft/image/image_reader.h"
#include "haft/image/verify.h"
#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::ForgedImage;
using testing::MaxResidentKib;
using testing::MemoryFile;
using testing::OpenReader;
using testing::SampleImage;
using testing::SilentDifferences;
using testing::SilentLookupDifferences;
using testing::Snapshot;
using testing::TakeSnapshot;
using testing::ThreadSeconds;

constexpr std::uint64_t kMax64 = ~std::uint64_t{0};
constexpr std::uint32_t kMax32 = ~std::uint32_t{0};
constexpr unsigned kFiles = 20;

TEST(HostileTrailerTest, EveryFieldWithEveryEdgeValueIsRefusedOrHarmless) {
  const std::vector<std::byte> good = SampleImage(kFiles);
  const format::Trailer trailer = testing::TrailerOf(good);
  const Snapshot expected = TakeSnapshot(OpenReader(good));
  struct Field {
    std::string_view name;
    std::size_t offset, size;
    bool free = false;  // any value is allowed
  };
#define FIELD(name) #name, offsetof(format::Trailer, name), sizeof(format::Trailer::name)
  const Field fields[] = {{FIELD(major)},
                          {FIELD(minor)},
                          {FIELD(trailer_size)},
                          {FIELD(incompatible)},
                          {FIELD(compatible), true},
                          {FIELD(image_size)},
                          {FIELD(runtime_size)},
                          {FIELD(runtime_digest)},
                          {FIELD(index_offset)},
                          {FIELD(inode_count)},
                          {FIELD(extent_count)},
                          {FIELD(block_count)},
                          {FIELD(string_size)},
                          {FIELD(chunk_table_digest)},
                          {FIELD(manifest_offset)},
                          {FIELD(manifest_size)},
                          {FIELD(manifest_digest)},
                          {FIELD(profile_offset)},
                          {FIELD(profile_size)},
                          {FIELD(profile_digest)},
                          {FIELD(file_count)},
                          {FIELD(content_size)},
                          {FIELD(block_size)},
                          {FIELD(chunk_size)},
                          {FIELD(security_offset)},
                          {FIELD(signature_size)},
                          {FIELD(hash)},
                          {FIELD(reserved)},
                          {FIELD(reserved2)}};
#undef FIELD
  int refused = 0, opened = 0;
  for (const Field& field : fields) {
    std::uint64_t original = 0;
    const std::size_t size = std::min(field.size, sizeof original);  // of a digest the first 8
    std::memcpy(&original, reinterpret_cast<const char*>(&trailer) + field.offset, size);
    std::vector<std::uint64_t> values = {0,
                                         1,
                                         2,
                                         4096,
                                         1u << 15,
                                         0xFFFF,
                                         0x7FFFFFFF,
                                         0x80000000,
                                         0x80000001,
                                         kMax32,
                                         (kMax64 >> 1),
                                         (kMax64 >> 1) + 1,
                                         (kMax64 >> 1) + 2,
                                         kMax64 - 4095,
                                         kMax64,
                                         good.size() - 1,
                                         good.size(),
                                         good.size() + 1,
                                         original - 1,
                                         original + 1,
                                         original * 2,
                                         original + 4096,
                                         original - 4096,
                                         original ^ (1u << 7)};
    for (std::uint64_t value : values) {
      if (size < 8) value &= (std::uint64_t{1} << (8 * size)) - 1;
      if (value == original) continue;
      // Zeros behind the string heap may as well belong to it.
      if (field.name == "string_size" && value > original && value <= (original + 7) / 8 * 8)
        continue;
      std::string context = fmt::format("{} = {:#x}", field.name, value);
      format::Trailer edited = trailer;
      std::memcpy(reinterpret_cast<char*>(&edited) + field.offset, &value, size);
      std::vector<std::byte> bytes = good;
      testing::ReplaceTrailer(bytes, edited);
      ::alarm(60);
      double start = ThreadSeconds();
      auto reader = ImageReader::Open(MemoryFile(bytes));
      if (reader) {
        ++opened;
        ASSERT_EQ(SilentDifferences(expected, TakeSnapshot(*reader)), std::vector<std::string>())
            << context;
        ASSERT_EQ(SilentLookupDifferences(expected, *reader), std::vector<std::string>())
            << context;
        static_cast<void>(format::ReadManifest(reader->fd(), reader->bundle()).has_value());
      } else {
        ++refused;
      }
      auto report = VerifyBundle(MemoryFile(bytes), {});
      if (!field.free) {
        EXPECT_TRUE(!report || !report->problems.empty()) << context << " is not found by verify";
      }
      ASSERT_LT(ThreadSeconds() - start, 1.0) << context;
    }
  }
  ::alarm(0);
  EXPECT_GT(refused, 200);
  EXPECT_GT(opened, 50);
}

// The same edges in every field of a record, all digests made to hold again.
template <typename Record>
void SweepRecord(std::string_view what, std::vector<Record> ForgedImage::*table, std::size_t row,
                 std::initializer_list<std::pair<std::size_t, std::size_t>> fields) {
  const ForgedImage original(SampleImage(kFiles));
  for (auto [offset, size] : fields) {
    for (std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 15, std::uint64_t{0xFFFF},
          std::uint64_t{0x7FFFFFFF}, std::uint64_t{0x80000001}, std::uint64_t{kMax32}, kMax64 >> 1,
          (kMax64 >> 1) + 2, kMax64}) {
      ForgedImage forged = original;
      std::memcpy(reinterpret_cast<char*>(&(forged.*table)[row]) + offset, &value, size);
      std::vector<std::byte> bytes = forged.Bytes();
      ::alarm(60);
      double start = ThreadSeconds();
      // Some of these are images somebody could have built; the point is that nothing breaks.
      if (auto reader = ImageReader::Open(MemoryFile(bytes)))
        static_cast<void>(TakeSnapshot(*reader, 100'000));
      static_cast<void>(VerifyBundle(MemoryFile(bytes), {}).has_value());
      ASSERT_LT(ThreadSeconds() - start, 1.0)
          << fmt::format("{} {}: bytes at {} = {:#x}", what, row, offset, value);
    }
  }
  ::alarm(0);
}

TEST(HostileRecordTest, EdgeValuesInEveryFieldOfEveryRecordBreakNothing) {
  const ForgedImage image(SampleImage(kFiles));
  long resident = MaxResidentKib();
  for (std::size_t row = 0; row < image.inodes.size(); row += 3) {
    SweepRecord<format::Inode>(
        "inode", &ForgedImage::inodes, row,
        {{0, 4}, {4, 4}, {8, 8}, {16, 8}, {24, 4}, {28, 4}, {32, 8}, {40, 8}, {48, 4}, {52, 4}});
  }
  for (std::size_t row = 0; row < image.extents.size(); row += 5) {
    SweepRecord<format::Extent>("extent", &ForgedImage::extents, row,
                                {{0, 8}, {8, 8}, {16, 4}, {20, 4}});
  }
  for (std::size_t row = 0; row < image.blocks.size(); row += 2) {
    SweepRecord<format::Block>("block", &ForgedImage::blocks, row,
                               {{0, 8}, {8, 4}, {12, 4}, {16, 8}, {24, 1}});
  }
  EXPECT_LT(MaxResidentKib() - resident, 64 * 1024);
}

}  // namespace
}  // namespace haft
