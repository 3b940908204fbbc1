// Images made by somebody who knows the format: all digests hold, the structure does not.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

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

using testing::ForgedImage;
using testing::IsError;
using testing::MaxResidentKib;
using testing::MemoryFile;
using testing::Message;
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

// What a reader has to do with an image.
enum class Harm {
  kRefused,   // it cannot be opened
  kFails,     // `where` and what is below shows errors or nothing, never other bytes
  kInside,    // as kFails, but names beside the bad one may be missing from look-ups
  kHarmless,  // nobody can be hurt; only verify tells
};

struct HostileImage {
  std::string name;
  Harm harm;
  std::string where;    // path
  std::string problem;  // part of what verify says
  std::function<void(ForgedImage&)> forge;
};

void PrintTo(const HostileImage& image, std::ostream* out) {
  *out << image.name;
}

class HostileImageTest : public ::testing::TestWithParam<HostileImage> {};

TEST_P(HostileImageTest, IsRefusedOrOnlyTheBadEntryFailsAndVerifyNamesIt) {
  const HostileImage& hostile = GetParam();
  static const Snapshot expected = TakeSnapshot(OpenReader(SampleImage(kFiles)));
  ForgedImage forged(SampleImage(kFiles));
  hostile.forge(forged);
  std::vector<std::byte> bytes = forged.Bytes();
  ::alarm(60);
  double start = ThreadSeconds();
  long resident = MaxResidentKib();

  auto report = VerifyBundle(MemoryFile(bytes), {});
  std::string problems =
      report ? fmt::format("{}", fmt::join(report->problems, "\n")) : Message(report);
  EXPECT_NE(problems.find(hostile.problem), problems.npos) << "verify says: " << problems;
  EXPECT_NE(problems, "");

  auto reader = ImageReader::Open(MemoryFile(bytes));
  if (hostile.harm == Harm::kRefused) {
    EXPECT_FALSE(reader.has_value());
  } else {
    ASSERT_EQ(Message(reader), "");
    Snapshot seen = TakeSnapshot(*reader, 1u << 20);
    auto affected = [&](const std::string& path) {
      return path == hostile.where || path.starts_with(hostile.where + "/");
    };
    if (hostile.harm == Harm::kFails) {
      EXPECT_EQ(SilentDifferences(expected, seen), std::vector<std::string>());
      EXPECT_EQ(SilentLookupDifferences(expected, *reader), std::vector<std::string>());
      auto found = seen.find(hostile.where);
      EXPECT_TRUE(found == seen.end() || IsError(found->second))
          << hostile.where << " is " << found->second;
    } else {
      EXPECT_EQ(SilentDifferences(expected, seen, affected), std::vector<std::string>());
      EXPECT_EQ(SilentLookupDifferences(expected, *reader, affected), std::vector<std::string>());
    }
  }
  ::alarm(0);
  EXPECT_LT(ThreadSeconds() - start, 1.0);
  EXPECT_LT(MaxResidentKib() - resident, 64 * 1024);
}

std::string CaseName(const ::testing::TestParamInfo<HostileImage>& info) {
  std::string name = info.param.name;
  std::ranges::replace_if(
      name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
}

// --- the tree ---

const char* const kOne = "site-packages/one.py";
const char* const kText = "site-packages/text";    // several compressed blocks
const char* const kNoise = "site-packages/noise";  // several stored blocks
const char* const kHoles = "site-packages/holes";
const char* const kLink = "odd/link";

// Hands the children of `path` to a directory that is not their parent.
void SetChildren(ForgedImage& image, std::string_view path, std::uint64_t first,
                 std::uint32_t count) {
  image.At(path).first = first;
  image.At(path).count = count;
}

HostileImage BadName(std::string name, std::string_view bytes) {
  return {"name " + name, Harm::kFails, "many/0007", "name is impossible",
          [text = std::string(bytes)](ForgedImage& image) { image.Rename("many/0007", text); }};
}

HostileImage BadMode(std::string name, std::uint32_t mode, std::string problem) {
  return {"mode " + name, Harm::kFails, kOne, problem + " is impossible",
          [mode](ForgedImage& image) { image.At(kOne).mode = mode; }};
}

template <typename Field>
HostileImage BadInode(std::string name, std::string path, std::string problem,
                      Field format::Inode::*field, Field value) {
  return {std::move(name), Harm::kFails, path, std::move(problem),
          [path, field, value](ForgedImage& image) { image.At(path).*field = value; }};
}

INSTANTIATE_TEST_SUITE_P(
    Parents, HostileImageTest,
    ::testing::Values(
        HostileImage{"parent is itself", Harm::kFails, "odd/d", "parent is impossible",
                     [](ForgedImage& image) { image.At("odd/d").parent = image.Row("odd/d"); }},
        HostileImage{"parent is its child", Harm::kFails, "odd/d", "parent is impossible",
                     [](ForgedImage& image) { image.At("odd/d").parent = image.Row("odd/d/e"); }},
        HostileImage{"parent is another directory", Harm::kFails, "odd/d", "parent is impossible",
                     [](ForgedImage& image) { image.At("odd/d").parent = image.Row("many"); }},
        HostileImage{
            "parent is a file", Harm::kFails, "odd/d/e", "parent is impossible",
            [](ForgedImage& image) { image.At("odd/d/e").parent = image.Row("odd/link"); }},
        HostileImage{"parent does not exist", Harm::kFails, kOne, "parent is impossible",
                     [](ForgedImage& image) { image.At(kOne).parent = kMax32; }},
        HostileImage{"root has a parent", Harm::kRefused, "", "parent is impossible",
                     [](ForgedImage& image) { image.At("").parent = 1; }},
        HostileImage{"root is a file", Harm::kRefused, "", "not a directory",
                     [](ForgedImage& image) {
                       image.At("").mode = S_IFREG | 0644;
                       image.At("").count = 0;
                     }},
        HostileImage{"root has a name", Harm::kHarmless, "", "name",
                     [](ForgedImage& image) { image.Rename("", "root"); }},
        HostileImage{"root contains itself", Harm::kRefused, "", "first is impossible",
                     [](ForgedImage& image) { SetChildren(image, "", 0, 3); }},
        HostileImage{
            "directory contains itself", Harm::kFails, "odd/d", "first is impossible",
            [](ForgedImage& image) { SetChildren(image, "odd/d", image.Row("odd/d"), 1); }},
        HostileImage{
            "directory contains its parent", Harm::kFails, "odd/d/e", "first is impossible",
            [](ForgedImage& image) { SetChildren(image, "odd/d/e", image.Row("odd"), 1); }},
        HostileImage{"directory takes the children of another", Harm::kFails, "odd/d/e/#0",
                     "parent is impossible",
                     [](ForgedImage& image) {
                       SetChildren(image, "odd/d/e", image.At("odd/d/e/e").first, 1);
                     }},
        HostileImage{"children beyond the table", Harm::kFails, "many", "count is impossible",
                     [](ForgedImage& image) { image.At("many").first = image.inodes.size() - 1; }},
        HostileImage{"children at the end of the world", Harm::kFails, "many",
                     "count is impossible",
                     [](ForgedImage& image) { image.At("many").first = kMax64; }},
        HostileImage{
            "children count wraps around", Harm::kFails, "many", "count is impossible",
            [](ForgedImage& image) { SetChildren(image, "many", kMax64 - kMax32 + 2, kMax32); }},
        HostileImage{"four billion children", Harm::kFails, "many", "count is impossible",
                     [](ForgedImage& image) { image.At("many").count = kMax32; }},
        HostileImage{"one child too many", Harm::kFails, "many/#20", "parent is impossible",
                     [](ForgedImage& image) { ++image.At("many").count; }},
        HostileImage{"one child too few", Harm::kInside, "many/0019", "in no directory",
                     [](ForgedImage& image) { --image.At("many").count; }},
        HostileImage{"first child left out", Harm::kInside, "many/0000", "in no directory",
                     [](ForgedImage& image) {
                       SetChildren(image, "many", image.At("many").first + 1, kFiles - 1);
                     }},
        HostileImage{"directory of a size", Harm::kFails, "many", "size is impossible",
                     [](ForgedImage& image) { image.At("many").size = 4096; }},
        HostileImage{"wrong links of a directory", Harm::kHarmless, "odd", "links",
                     [](ForgedImage& image) { image.At("odd").links = 7; }},
        HostileImage{"wrong links of a file", Harm::kHarmless, kOne, "links",
                     [](ForgedImage& image) { image.At(kOne).links = 0; }},
        HostileImage{"reserved field used", Harm::kHarmless, kOne, "reserved",
                     [](ForgedImage& image) { image.At(kOne).reserved = 1; }}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Names, HostileImageTest,
    ::testing::Values(
        BadName("with a slash", "00/7"),
        BadName("with a zero byte", std::string_view("00\0007", 5)), BadName("dot", "."),
        BadName("dot dot", ".."), BadName("just a slash", "/"),
        HostileImage{"name empty", Harm::kFails, "many/0007", "name_size is impossible",
                     [](ForgedImage& image) { image.At("many/0007").name_size = 0; }},
        HostileImage{"name of 256 bytes", Harm::kFails, "many/0007", "name_size is impossible",
                     [](ForgedImage& image) { image.Rename("many/0007", std::string(256, '0')); }},
        HostileImage{"name of four billion bytes", Harm::kFails, "many/0007",
                     "name_size is impossible",
                     [](ForgedImage& image) { image.At("many/0007").name_size = kMax32; }},
        HostileImage{
            "name behind the heap", Harm::kFails, "many/0007", "string at",
            [](ForgedImage& image) { image.At("many/0007").name_offset = image.strings.size(); }},
        HostileImage{"name leaves the heap", Harm::kFails, "many/0007", "string at",
                     [](ForgedImage& image) {
                       image.At("many/0007").name_offset = image.strings.size() - 3;
                     }},
        HostileImage{"name offset wraps around", Harm::kFails, "many/0007", "string at",
                     [](ForgedImage& image) { image.At("many/0007").name_offset = kMax64 - 1; }},
        HostileImage{"duplicate name", Harm::kInside, "many", "name order is impossible",
                     [](ForgedImage& image) { image.Rename("many/0007", "0006"); }},
        HostileImage{"names not in order", Harm::kInside, "many", "name order is impossible",
                     [](ForgedImage& image) { image.Rename("many/0007", "zzz"); }},
        HostileImage{"names in reverse order", Harm::kInside, "many", "name order is impossible",
                     [](ForgedImage& image) {
                       std::uint32_t first = image.Row("many/0000");
                       for (std::uint32_t i = 0; i < kFiles / 2; ++i) {
                         std::swap(image.inodes[first + i].name_offset,
                                   image.inodes[first + kFiles - 1 - i].name_offset);
                       }
                     }}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Attributes, HostileImageTest,
    ::testing::Values(
        BadMode("without type", 0644, "type"), BadMode("of a pipe", S_IFIFO | 0644, "type"),
        BadMode("of a device", S_IFBLK | 0644, "type"),
        BadMode("of a character device", S_IFCHR | 0666, "type"),
        BadMode("of a socket", S_IFSOCK | 0644, "type"),
        BadMode("of all types", S_IFMT | 0644, "type"), BadMode("setuid", S_IFREG | 04755, "mode"),
        BadMode("setgid", S_IFREG | 02755, "mode"),
        BadMode("beyond 16 bits", S_IFREG | 0x10000 | 0644, "mode"),
        BadInode("a billion nanoseconds", kOne, "mtime is impossible",
                 &format::Inode::mtime_nanoseconds, 1'000'000'000u),
        BadInode("file too large", kOne, "size is impossible", &format::Inode::size,
                 format::kMaxFileSize + 1),
        BadInode("file of a negative size", kOne, "size is impossible", &format::Inode::size,
                 kMax64),
        BadInode("file larger than its extents", kOne, "extents do not add up",
                 &format::Inode::size, std::uint64_t{12}),
        BadInode("huge file without contents", kOne, "extents do not add up", &format::Inode::size,
                 format::kMaxFileSize),
        BadInode("file smaller than its extents", kOne, "extent", &format::Inode::size,
                 std::uint64_t{10}),
        BadInode("file without size but extents", kOne, "count is impossible", &format::Inode::size,
                 std::uint64_t{0}),
        BadInode("file with size but no extents", kOne, "count is impossible",
                 &format::Inode::count, 0u),
        BadInode("empty file with extents", "site-packages/__init__.py", "count is impossible",
                 &format::Inode::count, 1u),
        BadInode("four billion extents", kOne, "extents is impossible", &format::Inode::count,
                 kMax32),
        BadInode("extents behind the table", kOne, "extents is impossible", &format::Inode::first,
                 kMax64),
        BadInode("link without target", kLink, "size is impossible", &format::Inode::size,
                 std::uint64_t{0}),
        BadInode("link of 4096 bytes", "odd/long-link", "size is impossible", &format::Inode::size,
                 std::uint64_t{4096}),
        BadInode("link target behind the heap", kLink, "string at", &format::Inode::first,
                 std::uint64_t{1} << 40),
        BadInode("link target wraps around", kLink, "string at", &format::Inode::first, kMax64 - 5),
        HostileImage{"link target with a zero byte", Harm::kFails, kLink, "target is impossible",
                     [](ForgedImage& image) { image.strings[image.At(kLink).first + 3] = '\0'; }},
        HostileImage{"link with extents", Harm::kHarmless, kLink, "",
                     [](ForgedImage& image) { image.At(kLink).count = 3; }}),
    CaseName);

// --- contents ---

HostileImage BadExtent(std::string name, std::string path, std::uint32_t number,
                       std::string problem, std::function<void(format::Extent&)> edit) {
  return {"extent " + name, Harm::kFails, path, std::move(problem),
          [path, number, edit](ForgedImage& image) { edit(image.ExtentOf(path, number)); }};
}

HostileImage BadBlock(std::string name, std::string path, std::string problem,
                      std::function<void(format::Block&)> edit) {
  return {"block " + name, Harm::kFails, path, std::move(problem),
          [path, edit](ForgedImage& image) { edit(image.BlockOf(path, 1)); }};
}

INSTANTIATE_TEST_SUITE_P(
    Extents, HostileImageTest,
    ::testing::Values(
        BadExtent("empty", kOne, 0, "extents do not follow",
                  [](format::Extent& e) { e.length = 0; }),
        BadExtent("endless", kOne, 0, "extent", [](format::Extent& e) { e.length = kMax64; }),
        BadExtent("starts late", kOne, 0, "extents do not follow",
                  [](format::Extent& e) { e.file_offset = 1; }),
        BadExtent("starts at the end of the world", kOne, 0, "extents do not follow",
                  [](format::Extent& e) { e.file_offset = kMax64; }),
        BadExtent("overlaps the one before", kHoles, 1, "extents do not follow",
                  [](format::Extent& e) { e.file_offset -= 1; }),
        BadExtent("leaves a gap", kHoles, 1, "extents do not follow",
                  [](format::Extent& e) { e.file_offset += 1; }),
        BadExtent("too short", kHoles, 0, "extents do not follow",
                  [](format::Extent& e) { e.length -= 1; }),
        BadExtent("too long", kHoles, 0, "extents do not follow",
                  [](format::Extent& e) { e.length += 1; }),
        BadExtent("beyond the blocks", kOne, 0, "extent leaves its blocks",
                  [](format::Extent& e) { e.block = kMax32 - 1; }),
        BadExtent("outside of its block", kOne, 0, "extent leaves its blocks",
                  [](format::Extent& e) { e.block_offset = 4090; }),
        BadExtent("far outside of its block", kOne, 0, "extent leaves its blocks",
                  [](format::Extent& e) { e.block_offset = kMax32; }),
        BadExtent("of several blocks not at the start of the first", kText, 0, "extent",
                  [](format::Extent& e) { e.block_offset = 1; }),
        HostileImage{"extent hole with an offset", Harm::kHarmless, kHoles, "extent",
                     [](ForgedImage& image) { image.ExtentOf(kHoles, 1).block_offset = 5; }},
        HostileImage{"extents not in order", Harm::kFails, kHoles, "extents do not follow",
                     [](ForgedImage& image) {
                       std::swap(image.ExtentOf(kHoles, 1), image.ExtentOf(kHoles, 2));
                     }},
        HostileImage{
            "extent runs off the last block", Harm::kFails, kNoise, "extent leaves its blocks",
            [](ForgedImage& image) {
              image.ExtentOf(kNoise).block = static_cast<std::uint32_t>(image.blocks.size() - 1);
            }}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Blocks, HostileImageTest,
    ::testing::Values(
        BadBlock("decodes to nothing", kText, "record is impossible",
                 [](format::Block& b) { b.raw_size = 0; }),
        BadBlock("decodes to more than a block", kText, "record is impossible",
                 [](format::Block& b) { b.raw_size = 4097; }),
        BadBlock("decodes to four billion bytes", kText, "record is impossible",
                 [](format::Block& b) { b.raw_size = kMax32; }),
        BadBlock("decodes to less than it says", kText, "extent leaves its blocks",
                 [](format::Block& b) { b.raw_size = 4095; }),
        BadBlock("stores nothing", kText, "record is impossible",
                 [](format::Block& b) { b.stored_size = 0; }),
        BadBlock("stores more than a block", kText, "record is impossible",
                 [](format::Block& b) { b.stored_size = 4097; }),
        BadBlock("stores more than the image", kText, "record is impossible",
                 [](format::Block& b) { b.stored_size = kMax32; }),
        BadBlock("stores less than it does", kText, "block digest",
                 [](format::Block& b) { b.stored_size -= 1; }),
        BadBlock("behind the image", kText, "record is impossible",
                 [](format::Block& b) { b.offset = std::uint64_t{1} << 40; }),
        BadBlock("at the end of the world", kText, "record is impossible",
                 [](format::Block& b) { b.offset = kMax64; }),
        BadBlock("offset wraps around", kText, "record is impossible",
                 [](format::Block& b) { b.offset = kMax64 - b.stored_size + 2; }),
        BadBlock("of an unknown codec", kText, "block codec 3 is unknown",
                 [](format::Block& b) { b.codec = format::Codec{3}; }),
        BadBlock("of the last codec", kText, "block codec 255 is unknown",
                 [](format::Block& b) { b.codec = format::Codec{255}; }),
        BadBlock("compressed called stored", kText, "sizes",
                 [](format::Block& b) { b.codec = format::Codec::kStored; }),
        BadBlock("stored called compressed", kNoise, "record is impossible",
                 [](format::Block& b) { b.codec = format::Codec::kLz4; }),
        BadBlock("with a wrong digest", kText, "block digest is wrong",
                 [](format::Block& b) { b.digest[31] ^= 1; }),
        HostileImage{"block reserved field used", Harm::kHarmless, kText, "record is impossible",
                     [](ForgedImage& image) { image.BlockOf(kText).reserved[6] = 1; }},
        HostileImage{"block of bad lz4 data", Harm::kFails, kText, "lz4 block does not decode",
                     [](ForgedImage& image) {
                       format::Block& block = image.BlockOf(kText, 1);
                       char* stored = image.contents.data() + block.offset - sizeof(format::Header);
                       std::fill_n(stored, block.stored_size, '\xff');
                       block.digest = format::Sha256Of(AsBytes({stored, block.stored_size}));
                     }},
        HostileImage{
            "block twice in the file", Harm::kInside, kNoise, "record is impossible",
            [](ForgedImage& image) { image.BlockOf(kNoise, 1) = image.BlockOf(kNoise, 0); }}),
    CaseName);

// --- the rest ---

INSTANTIATE_TEST_SUITE_P(
    Sections, HostileImageTest,
    ::testing::Values(
        HostileImage{"manifest is no JSON", Harm::kHarmless, "", "manifest",
                     [](ForgedImage& image) { image.manifest = "{"; }},
        HostileImage{"manifest empty", Harm::kHarmless, "", "manifest",
                     [](ForgedImage& image) { image.manifest = ""; }},
        HostileImage{"manifest mounts elsewhere", Harm::kHarmless, "", "manifest: mount",
                     [](ForgedImage& image) {
                       image.manifest.replace(image.manifest.find("/run/haft/test"), 14,
                                              "/run/haft/.././e");
                     }},
        HostileImage{"bytes between blocks and index", Harm::kHarmless, "",
                     "padding before the index",
                     [](ForgedImage& image) { image.gap = std::string(4096, '\0'); }},
        HostileImage{"orphans", Harm::kHarmless, "", "in no directory",
                     [](ForgedImage& image) { image.inodes.push_back(image.At(kOne)); }},
        HostileImage{"bytes among the signatures", Harm::kHarmless, "", "signatures",
                     [](ForgedImage& image) { image.signatures[77] = 1; }},
        HostileImage{"wrong chunk digests", Harm::kRefused, "", "chunk digests",
                     [](ForgedImage& image) {
                       image.edit_trailer = [](format::Trailer& trailer) {
                         trailer.chunk_table_digest[0] ^= 1;
                       };
                     }}),
    CaseName);

}  // namespace
}  // namespace haft
