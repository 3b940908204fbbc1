#include "haft/archive/zip_image.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <random>
#include <thread>

#include "haft/base/file_io.h"
#include "haft/python/bootstrap.h"
#include "support/expect.h"
#include "support/test_tree.h"
#include "zip_maker.h"

namespace haft::testing {
namespace {

constexpr std::size_t kPiece = 128u << 10;

std::string Text(std::size_t size, unsigned seed) {
  std::string bytes = RandomBytes(size, seed);
  for (char& c : bytes) c = static_cast<char>('a' + (static_cast<unsigned char>(c) & 15));
  return bytes;
}

MadeZip Sample() {
  return ZipOf({{.name = "__main__.py", .data = "print('hi')\n", .method = 8},
                {.name = "empty", .method = 8},
                {.name = "pkg/", .mode = 040755},
                {.name = "pkg/big", .data = Text(20 * kPiece + 17, 1), .method = 8},
                {.name = "pkg/stored", .data = Text(9 * kPiece, 2)},
                {.name = "pkg/one", .data = Text(kPiece, 3), .method = 8},
                {.name = "link", .data = "pkg/one", .mode = 0120777}});
}

Result<ArchiveTree> TreeOf(const MadeZip& zip) {
  return ReadArchiveTree(TRY(ZipArchive::Open(ZipFd(zip.Bytes()), "dir/my app.pyz")));
}

Result<ImageReader> OpenImage(const MadeZip& zip,
                              std::size_t cache_bytes = ImageReader::kDefaultCacheBytes) {
  ArchiveTree tree = TRY(TreeOf(zip));
  const format::Manifest manifest = ManifestFor(*tree.archive);
  return OpenZipImage(std::move(tree), manifest, cache_bytes);
}

std::string ReadAt(const ImageReader& reader, InodeId inode, std::uint64_t offset,
                   std::size_t length) {
  std::string data(length, '\0');
  std::size_t done = Expect(reader.Read(inode, offset, std::as_writable_bytes(std::span(data))));
  data.resize(done);
  return data;
}

TEST(ZipImage, IsTheTreeOfTheArchive) {
  MadeZip zip = Sample();
  auto reader = OpenImage(zip);
  ASSERT_TRUE(reader) << reader.error().message();
  for (const MadeEntry& entry : zip.entries) {
    std::string path =
        entry.name.ends_with('/') ? entry.name.substr(0, entry.name.size() - 1) : entry.name;
    auto found = reader->Resolve(path);
    ASSERT_TRUE(found) << found.error().message();
    if (found->attributes.type == FileType::kFile) {
      EXPECT_EQ(found->attributes.size, entry.data.size());
      EXPECT_TRUE(ReadAt(*reader, found->inode, 0, entry.data.size() + 10) == entry.data) << path;
      EXPECT_EQ(found->attributes.stored, entry.data.size());
    }
  }
  EXPECT_EQ(Expect(reader->ReadLink(reader->Resolve("link")->inode)), "pkg/one");
  EXPECT_EQ(reader->Resolve("pkg")->attributes.type, FileType::kDirectory);
  EXPECT_EQ(Expect(reader->EntryCount(InodeId::kRoot)), 4u);
  format::Manifest manifest = Expect(format::ReadManifest(reader->fd(), reader->bundle()));
  EXPECT_EQ(manifest.name, "my-app.pyz");
  EXPECT_EQ(manifest.mount, "/run/haft/my-app.pyz");
  EXPECT_EQ(manifest.entry.kind, format::EntryKind::kNone);
}

TEST(ZipImage, EmptyArchive) {
  auto reader = OpenImage({});
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(Expect(reader->EntryCount(InodeId::kRoot)), 0u);
}

TEST(ZipImage, RandomReadsFromTwoThreads) {
  MadeZip zip = Sample();
  // A cache of two blocks: nearly every read decodes.
  auto reader = OpenImage(zip, 1);
  ASSERT_TRUE(reader) << reader.error().message();
  auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 150; ++i) {
      const MadeEntry& entry = zip.entries[3 + random() % 3];
      InodeId inode = reader->Resolve(entry.name)->inode;
      std::uint64_t offset = random() % entry.data.size();
      std::size_t length = 1 + random() % (3 * kPiece);
      EXPECT_TRUE(ReadAt(*reader, inode, offset, length) == entry.data.substr(offset, length));
    }
  };
  std::thread first(work, 1), second(work, 2);
  first.join();
  second.join();
}

TEST(ZipImage, DamageIsTheEntrysOnly) {
  MadeZip zip = Sample();
  zip.entries[3].crc = 1;
  auto reader = OpenImage(zip);
  ASSERT_TRUE(reader) << reader.error().message();
  InodeId bad = reader->Resolve("pkg/big")->inode;
  std::vector<std::byte> buffer(10);
  for (std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{10 * kPiece}, zip.entries[3].data.size() - 5}) {
    auto read = reader->Read(bad, offset, buffer);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().ToErrno(), EIO);
    EXPECT_NE(read.error().message().find(
                  "'dir/my app.pyz': entry 'pkg/big': the data is damaged: its CRC is wrong"),
              std::string::npos);
  }
  EXPECT_TRUE(ReadAt(*reader, reader->Resolve("pkg/one")->inode, 0, kPiece) == zip.entries[5].data);
}

TEST(ZipImage, ImageIdIsThatOfTheContents) {
  MadeZip zip = Sample();
  auto id = [](const MadeZip& of) { return OpenImage(of)->bundle().trailer.root; };
  auto first = id(zip);
  EXPECT_EQ(id(zip), first);
  zip.entries[5].data[7] ^= 1;
  EXPECT_NE(id(zip), first);
}

// Directory, sizes and CRCs can be made those of another archive; the file cannot.
TEST(ZipImage, UnpackedFilesOfAnotherFileOrOfAnEarlierStateHaveAnotherName) {
  MadeZip zip = Sample();
  const std::string bytes = zip.Bytes();
  auto image_id = [](int fd) {
    ArchiveTree tree =
        Expect(ReadArchiveTree(Expect(ZipArchive::Open(UniqueFd(::dup(fd)), "dir/my app.pyz"))));
    const format::Manifest manifest = ManifestFor(*tree.archive);
    auto image = OpenZipImage(std::move(tree), manifest);
    EXPECT_EQ(Message(image), "");
    return image ? image->image_id() : format::Digest();
  };
  UniqueFd first = ZipFd(bytes), second = ZipFd(bytes);
  const format::Digest id = image_id(first.get());
  EXPECT_EQ(image_id(first.get()), id);
  EXPECT_NE(image_id(second.get()), id);
  const timespec times[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::futimens(first.get(), times), 0);
  EXPECT_NE(image_id(first.get()), id);
}

TEST(ZipImage, WithAddedFilesAndAnotherManifest) {
  auto open = [](const MadeZip& zip) -> Result<ImageReader> {
    ArchiveTree tree = TRY(TreeOf(zip));
    format::Manifest manifest = ManifestFor(*tree.archive);
    manifest.name = "renamed";
    manifest.entry = {.kind = format::EntryKind::kModule, .module = "app"};
    const EmbeddedFile file = {.name = "start.py", .bytes = "import app\n"};
    TRY(AddBootstrap(*tree.files, {&file, 1}, manifest));
    return OpenZipImage(std::move(tree), manifest);
  };
  auto reader = open(Sample());
  ASSERT_TRUE(reader) << reader.error().message();
  auto start = reader->Resolve(".haft/py/start.py");
  ASSERT_TRUE(start) << start.error().message();
  EXPECT_EQ(ReadAt(*reader, start->inode, 0, 100), "import app\n");
  EXPECT_EQ(Expect(format::ReadManifest(reader->fd(), reader->bundle())).entry.module, "app");
  EXPECT_EQ(Expect(format::ReadManifest(reader->fd(), reader->bundle())).name, "renamed");
  // An archive that brings its own does not get into the way unnoticed.
  MadeZip zip = Sample();
  zip.entries.push_back({.name = ".haft/py/start.py", .data = "evil()\n"});
  EXPECT_NE(Message(open(zip)).find("differ"), std::string::npos);
}

TEST(ZipImage, Verify) {
  MadeZip zip = Sample();
  zip.entries[0].crc = 1;
  zip.entries[4].crc = 2;
  auto archive = Expect(ZipArchive::Open(ZipFd(zip.Bytes()), "t.zip"));
  ASSERT_NE(archive, nullptr);
  std::uint64_t last = 0;
  VerifyReport report = VerifyZip(*archive, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_LE(done, total);
    last = done;
  });
  EXPECT_EQ(report.files, 5u);
  ASSERT_EQ(report.problems.size(), 2u);
  EXPECT_EQ(report.problems[0],
            "'t.zip': entry '__main__.py': the data is damaged: its CRC is wrong");
  EXPECT_EQ(report.problems[1],
            "'t.zip': entry 'pkg/stored': the data is damaged: its CRC is wrong");
}

TEST(ZipImage, VerifySeesLinkTargetsThatAreNone) {
  MadeZip zip = ZipOf({{.name = "l", .data = std::string("a\0b", 3), .mode = 0120777}});
  auto archive = Expect(ZipArchive::Open(ZipFd(zip.Bytes()), "t.zip"));
  ASSERT_NE(archive, nullptr);
  EXPECT_EQ(VerifyZip(*archive, {}).problems,
            std::vector<std::string>{"'t.zip': entry 'l': the link's target has a zero byte"});
}

TEST(BundleNameFor, IsOne) {
  const std::map<std::string, std::string> names = {{"/srv/app-1.0.pyz", "app-1.0.pyz"},
                                                    {"x", "x"},
                                                    {"a b", "a-b"},
                                                    {"..hidden", "hidden"},
                                                    {"", "archive"},
                                                    {"/", "archive"},
                                                    {"-", "archive"},
                                                    {"\xc3\xbc", "archive"},
                                                    {"a\xc3\xbc", "a--"},
                                                    {std::string(100, 'n'), std::string(64, 'n')}};
  for (const auto& [path, name] : names) {
    EXPECT_EQ(BundleNameFor(path), name);
    EXPECT_TRUE(format::IsBundleName(BundleNameFor(path)));
  }
}

}  // namespace
}  // namespace haft::testing
