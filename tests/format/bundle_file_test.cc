#include "haft/format/bundle_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft::format {
namespace {

using haft::testing::BuildImage;
using haft::testing::Expect;
using haft::testing::FakeRuntime;
using haft::testing::ForgedImage;
using haft::testing::JoinBundle;
using haft::testing::MakeTree;
using haft::testing::MemoryFile;
using haft::testing::Message;
using haft::testing::RandomBytes;
using haft::testing::ReplaceTrailer;
using haft::testing::TrailerOf;

using Bytes = std::vector<std::byte>;
constexpr std::size_t kRuntimeSize = 5000;

std::vector<std::byte> SmallImage(std::size_t runtime_size = 0) {
  Tree tree = MakeTree({{"a/one.txt", "one"}, {"a/two.txt", "two"}, {"b", ""}});
  ImageOptions options{.block_size = 4096, .workers = 1};
  if (runtime_size != 0) {
    options.runtime_size = runtime_size;
    options.runtime_digest = Sha256Of(FakeRuntime(runtime_size));
  }
  return BuildImage(tree, options);
}

Bytes SmallBundle() {
  return JoinBundle(FakeRuntime(kRuntimeSize), SmallImage(kRuntimeSize));
}

Result<BundleFile> Locate(std::span<const std::byte> bytes) {
  return LocateImage(MemoryFile(bytes).get());
}

TEST(LocateImageTest, FindsABareImage) {
  Bytes image = SmallImage();
  BundleFile bundle = Expect(Locate(image));
  EXPECT_EQ(bundle.image_offset, 0u);
  EXPECT_EQ(bundle.trailer.image_size, image.size());
  EXPECT_EQ(bundle.trailer.inode_count, 5u);
  EXPECT_EQ(bundle.trailer.file_count, 3u);
  EXPECT_EQ(bundle.trailer.content_size, 6u);
  EXPECT_EQ(bundle.extents_offset(), 5u * 64);
  EXPECT_EQ(bundle.blocks_offset(), bundle.extents_offset() + bundle.trailer.extent_count * 24);
  EXPECT_EQ(bundle.strings_offset(), bundle.blocks_offset() + bundle.trailer.block_count * 56);
  EXPECT_EQ(bundle.index_size() % 8, 0u);
  EXPECT_EQ(bundle.chunk_count(), 1u);
  EXPECT_EQ(bundle.signatures_offset(), bundle.trailer.security_offset + 32);
  EXPECT_EQ(bundle.signatures_offset() + kSignatureAreaSize + sizeof(Trailer), image.size());
}

TEST(LocateImageTest, FindsAnImageBehindAProgram) {
  BundleFile bundle = Expect(Locate(SmallBundle()));
  EXPECT_EQ(bundle.image_offset, 8192u);
  EXPECT_EQ(bundle.trailer.runtime_size, kRuntimeSize);
  UniqueFd file = MemoryFile(SmallBundle());
  EXPECT_EQ(Expect(ReadManifest(file.get(), bundle)).name, "test");
}

// What each cut-off length of a bundle is called.
void CheckTruncation(const Bytes& bundle, std::size_t runtime_size) {
  std::size_t image_offset = bundle.size() - TrailerOf(bundle).image_size;
  UniqueFd file = MemoryFile(bundle);
  for (std::size_t size = bundle.size(); size-- > 0;) {
    ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
    auto located = LocateImage(file.get());
    ASSERT_FALSE(located.has_value()) << size;
    std::string expected;
    if (size < 64) {
      expected = fmt::format("not a haft bundle: it has {} bytes, the smallest needs 448", size);
    } else if (size < runtime_size) {
      expected = fmt::format(
          "the file is cut off inside its program: it has {} bytes and needs at least {}", size,
          runtime_size);
    } else if (size < image_offset + 64) {
      expected = fmt::format(
          "not a haft bundle: no image behind the program; it has {} bytes and would need at least "
          "{}; copy it again; strip, objcopy and patchelf cut the image off",
          size, image_offset + 448);
    } else {
      expected = fmt::format(
          "the file is cut off: it has {} bytes and needs {} ({} missing); copy it again", size,
          bundle.size(), bundle.size() - size);
    }
    ASSERT_EQ(located.error().message(), expected);
  }
}

TEST(LocateImageTest, RefusesABareImageCutAtAnyLength) {
  CheckTruncation(SmallImage(), 0);
}
TEST(LocateImageTest, RefusesABundleCutAtAnyLength) {
  CheckTruncation(SmallBundle(), kRuntimeSize);
}

TEST(LocateImageTest, RefusesAppendedBytes) {
  for (const Bytes& good : {SmallImage(), SmallBundle()}) {
    for (std::size_t size : {1u, 7u, 256u, 4096u, 1u << 20}) {
      for (const std::string& tail : {std::string(size, '\0'), RandomBytes(size, 1)}) {
        Bytes longer = good;
        longer.insert(longer.end(), AsBytes(tail).begin(), AsBytes(tail).end());
        EXPECT_EQ(Message(Locate(longer)),
                  fmt::format(
                      "the file has {} bytes after its end: it has {} and needs {}; copy it again",
                      size, longer.size(), good.size()));
      }
    }
  }
}

TEST(LocateImageTest, RefusesTwoImagesOneAfterTheOther) {
  Bytes first = SmallImage(), both = SmallBundle();
  both.insert(both.end(), first.begin(), first.end());
  EXPECT_EQ(Message(Locate(both)), "trailer: runtime_size is impossible");
}

TEST(LocateImageTest, RefusesWhatIsNoBundle) {
  const std::string kNoTrailer = "not a haft bundle (no trailer at its end)";
  EXPECT_EQ(Message(Locate({})), "not a haft bundle: it has 0 bytes, the smallest needs 448");
  for (std::size_t size : {64u, 383u, 384u, 448u, 10'000u}) {
    auto located = Locate(AsBytes(RandomBytes(size, 2)));
    EXPECT_EQ(Message(located), kNoTrailer) << size;
    EXPECT_EQ(located.error().kind(), ErrorKind::kInvalidInput);
  }
  EXPECT_EQ(Message(Locate(std::vector<std::byte>(100'000))), kNoTrailer);
  UniqueFd directory = Expect(OpenFile("/", O_RDONLY | O_DIRECTORY));
  EXPECT_NE(Message(LocateImage(directory.get())), "");
  UniqueFd program = Expect(OpenFile("/bin/sh", O_RDONLY));
  auto shell = LocateImage(program.get());
  EXPECT_EQ(Message(shell).substr(0, 17), "not a haft bundle");
  EXPECT_EQ(shell.error().kind(), ErrorKind::kInvalidInput);
}

TEST(LocateImageTest, NoticesEveryFlippedBitOfTheTrailer) {
  Bytes bundle = SmallBundle();
  UniqueFd file = MemoryFile(bundle);
  std::size_t begin = bundle.size() - sizeof(Trailer);
  for (std::size_t bit = 0; bit < 8 * sizeof(Trailer); ++bit) {
    std::byte flipped = bundle[begin + bit / 8] ^ (std::byte{1} << (bit % 8));
    ASSERT_EQ(Message(WriteAllAt(file.get(), std::span(&flipped, 1), begin + bit / 8)), "");
    auto located = LocateImage(file.get());
    ASSERT_EQ(Message(located), "the trailer is damaged; copy the file again") << "bit " << bit;
    ASSERT_EQ(located.error().kind(), ErrorKind::kCorrupt);
    ASSERT_EQ(
        Message(WriteAllAt(file.get(), std::span(&bundle[begin + bit / 8], 1), begin + bit / 8)),
        "");
  }
  EXPECT_TRUE(LocateImage(file.get()).has_value());
}

std::string LocateWith(const std::function<void(Trailer&)>& edit) {
  Bytes image = SmallImage();
  Trailer trailer = TrailerOf(image);
  edit(trailer);
  ReplaceTrailer(image, trailer);
  return Message(Locate(image));
}

TEST(LocateImageTest, RefusesVersionsAndFeaturesItDoesNotKnow) {
  EXPECT_EQ(LocateWith([](Trailer& t) { t.major = 2; }),
            "format version 2.0; this haft reads version 1.x");
  EXPECT_EQ(LocateWith([](Trailer& t) { t.major = 0; }),
            "format version 0.0; this haft reads version 1.x");
  EXPECT_EQ(LocateWith([](Trailer& t) { t.incompatible = 1u << 5; }),
            "needs format feature 5, which this haft does not know");
  EXPECT_EQ(LocateWith([](Trailer& t) { t.incompatible = 1u << 31; }),
            "needs format feature 31, which this haft does not know");
  EXPECT_EQ(LocateWith([](Trailer& t) { t.minor = 7; }), "");
  EXPECT_EQ(LocateWith([](Trailer& t) { t.compatible = 0xFFFFFFFF; }), "");
}

TEST(LocateImageTest, RefusesFieldsThatPointOutOfTheImage) {
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  auto impossible = [](std::string_view field) {
    return fmt::format("trailer: {} is impossible", field);
  };
  for (std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{319}, kMax, kMax / 2, std::uint64_t{1} << 40}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.image_size = value; }), impossible("image_size"))
        << value;
  }
  for (std::uint64_t value : {std::uint64_t{1}, std::uint64_t{4096}, kMax, kMax / 2}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.runtime_size = value; }), impossible("runtime_size"))
        << value;
  }
  for (std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1} << 31, kMax}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.inode_count = value; }), impossible("inode_count"))
        << value;
  }
  EXPECT_EQ(LocateWith([&](Trailer& t) { t.inode_count = kMaxInodes; }),
            impossible("index_offset"));
  for (std::uint64_t value : {std::uint64_t{0xFFFFFFFF}, kMax}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.block_count = value; }), impossible("block_count"))
        << value;
  }
  EXPECT_EQ(LocateWith([&](Trailer& t) { t.extent_count = kMax; }), impossible("extent_count"));
  EXPECT_EQ(LocateWith([&](Trailer& t) { t.string_size = kMax; }), impossible("string_size"));
  for (std::uint64_t value : {std::uint64_t{1}, std::uint64_t{1} << 20, kMax, kMax - 4095}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.index_offset = value; }), impossible("index_offset"))
        << value;
  }
  for (std::uint64_t value : {std::uint64_t{1} << 20, kMax}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.manifest_offset = value; }),
              impossible("manifest_offset"))
        << value;
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.manifest_size = value; }),
              impossible("manifest_offset"))
        << value;
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.profile_offset = value; }),
              impossible("profile_offset"))
        << value;
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.profile_size = value; }), impossible("profile_offset"))
        << value;
  }
  for (std::uint32_t value : {0u, 1u, 2048u, 4097u, 3u << 12, 1u << 21, 0xFFFFFFFFu}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.block_size = value; }), impossible("block_size"))
        << value;
  }
  for (std::uint32_t value : {0u, 4096u, 16385u, 0xFFFFFFFFu}) {
    EXPECT_EQ(LocateWith([&](Trailer& t) { t.chunk_size = value; }), impossible("chunk_size"))
        << value;
  }
}

// In the largest file Linux knows the sizes of the tables can add up to more than 2^64.
TEST(LocateImageTest, SizesOfAHugeSparseFileDoNotOverflow) {
  UniqueFd file = MemoryFile({});
  constexpr std::uint64_t kFileSize = (std::uint64_t{1} << 63) - 4096;
  if (::ftruncate(file.get(), static_cast<off_t>(kFileSize)) != 0)
    GTEST_SKIP() << "no file of 2^63 bytes here";
  Bytes image = SmallImage();
  Trailer trailer = TrailerOf(image);
  trailer.image_size = kFileSize;
  trailer.extent_count = kFileSize / sizeof(Extent);
  trailer.string_size = kFileSize;
  trailer.inode_count = 1024;
  trailer.index_offset = 4096;
  ReplaceTrailer(image, trailer);
  auto last = std::span(image).last(sizeof(Trailer));
  ASSERT_EQ(Message(WriteAllAt(file.get(), last, kFileSize - sizeof(Trailer))), "");
  EXPECT_EQ(Message(LocateImage(file.get())), "trailer: string_size is impossible");
}

TEST(ReadManifestTest, ChecksTheDigestFirst) {
  Bytes image = SmallImage();
  image[TrailerOf(image).manifest_offset + 3] ^= std::byte{4};
  UniqueFd file = MemoryFile(image);
  BundleFile bundle = Expect(LocateImage(file.get()));
  EXPECT_EQ(Message(ReadManifest(file.get(), bundle)), "manifest: digest is wrong");
}

TEST(ReadManifestTest, GivesTheTextAsWritten) {
  ForgedImage forged(SmallImage());
  forged.manifest = R"({ "name": "x", "mount": "/run/haft/x", "paths": [ ] })";
  UniqueFd file = MemoryFile(forged.Bytes());
  BundleFile bundle = Expect(LocateImage(file.get()));
  EXPECT_EQ(Expect(ReadManifestText(file.get(), bundle)), forged.manifest);
  EXPECT_EQ(Expect(ReadManifest(file.get(), bundle)).mount, "/run/haft/x");
}

TEST(ReadManifestTest, RefusesOneThatIsTooLarge) {
  ForgedImage forged(SmallImage());
  forged.manifest = std::string(kMaxManifestSize + 1, ' ');
  EXPECT_EQ(Message(Locate(forged.Bytes())), "trailer: manifest_offset is impossible");
}

TEST(ForgedImageTest, PutsAnImageTogetherAsItWas) {
  for (Bytes image : {SmallImage(), BuildImage(Tree())})
    EXPECT_EQ(ForgedImage(image).Bytes(), image);
}

}  // namespace
}  // namespace haft::format
