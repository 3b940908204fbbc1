#include "haft/image/verify.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::BuildImage;
using testing::Expect;
using testing::FakeRuntime;
using testing::ForgedImage;
using testing::JoinBundle;
using testing::MemoryFile;
using testing::Message;
using testing::SampleImage;
using testing::SampleTree;
using testing::TrailerOf;

using Problems = std::vector<std::string>;

VerifyReport Verify(std::span<const std::byte> bytes) {
  return Expect(VerifyBundle(MemoryFile(bytes), {}));
}

std::vector<std::byte> Bundle() {
  auto runtime = FakeRuntime(5000);
  ImageOptions options{.block_size = 4096,
                       .workers = 1,
                       .runtime_size = runtime.size(),
                       .runtime_digest = format::Sha256Of(runtime),
                       .progress = {}};
  format::Manifest manifest = testing::TestManifest();
  while (format::ToJson(manifest).size() % 8 != 1)
    manifest.builder += ".";  // padding behind it, to be damaged
  return JoinBundle(runtime, BuildImage(SampleTree(10), options, manifest));
}

TEST(VerifyTest, FindsNothingWrongWithAGoodBundle) {
  for (const auto& bytes :
       {Bundle(), SampleImage(), BuildImage(Tree()), BuildImage(SampleTree())}) {
    std::uint64_t done = 0, total = 0;
    VerifyReport report =
        Expect(VerifyBundle(MemoryFile(bytes), [&](std::uint64_t d, std::uint64_t t) {
          EXPECT_GE(d, done);
          done = d;
          total = t;
        }));
    EXPECT_EQ(report.problems, Problems{});
    EXPECT_EQ(report.bytes, bytes.size()) << "every byte is read";
    EXPECT_EQ(report.files, TrailerOf(bytes).file_count);
    EXPECT_EQ(report.blocks, TrailerOf(bytes).block_count);
    EXPECT_EQ(total, bytes.size());
    EXPECT_LE(done, total);
  }
}

TEST(VerifyTest, RefusesWhatIsNoBundle) {
  EXPECT_EQ(Message(VerifyBundle(MemoryFile(AsBytes("hello")), {})),
            "not a haft bundle: it has 5 bytes, the smallest needs 448");
}

TEST(VerifyTest, NamesThePartThatIsDamaged) {
  const std::vector<std::byte> good = Bundle();
  format::Trailer trailer = TrailerOf(good);
  std::size_t image = good.size() - trailer.image_size;
  std::size_t manifest = image + trailer.manifest_offset;
  std::size_t security = image + trailer.security_offset;
  struct Case {
    std::size_t position;
    std::string problem;
  };
  for (const Case& c :
       {Case{100, "runtime: digest is wrong (the program in front of the image is damaged)"},
        Case{5001, "padding behind the runtime: not zero"}, Case{image + 20, "header: damaged"},
        Case{manifest + 2, "manifest: digest is wrong"},
        Case{security, "index: chunk digests are damaged"},
        Case{security - 1, "padding before the chunk digests: not zero"},
        Case{good.size() - sizeof trailer - 1, "signatures: damaged"}}) {
    std::vector<std::byte> bad = good;
    bad[c.position] ^= std::byte{0x10};
    Problems problems = Verify(bad).problems;
    EXPECT_NE(std::ranges::find(problems, c.problem), problems.end())
        << "byte " << c.position << ": " << fmt::format("{}", fmt::join(problems, " | "));
  }
}

TEST(VerifyTest, NamesTheFilesInADamagedBlock) {
  ForgedImage parts(SampleImage(10));
  std::vector<std::byte> bad = SampleImage(10);
  bad[parts.BlockOf("site-packages/noise", 1).offset + 5] ^= std::byte{1};
  Problems problems = Verify(bad).problems;
  std::uint32_t block = parts.ExtentOf("site-packages/noise").block + 1;
  EXPECT_EQ(problems, (Problems{fmt::format("block {}: block digest is wrong", block),
                                "'/site-packages/noise': lies in a damaged block"}));
}

TEST(VerifyTest, StopsListingAtSomePoint) {
  std::vector<std::byte> bad = SampleImage(300);
  ForgedImage forged(bad);
  for (int i = 0; i < 300; ++i) forged.At(fmt::format("many/{:04}", i)).reserved = 1;
  VerifyReport report = Verify(forged.Bytes());
  ASSERT_EQ(report.problems.size(), VerifyReport::kMaxProblems + 1);
  EXPECT_EQ(report.problems.back(), "and 250 more problems");
}

}  // namespace
}  // namespace haft
