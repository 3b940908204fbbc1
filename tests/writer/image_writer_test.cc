#include "haft/writer/image_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "haft/base/file_io.h"
#include "haft/format/block_codec.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "haft/image/image_reader.h"
#include "parsed_image.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::BuildImage;
using testing::Expect;
using testing::MakeTree;
using testing::MemoryFile;
using testing::Message;
using testing::ParsedImage;
using testing::RandomBytes;
using testing::TempDir;

constexpr std::uint32_t kBlock = 4096;
const ImageOptions kSmallBlocks = {.block_size = kBlock, .workers = 1};

Tree SampleTree() {
  Tree tree = MakeTree({{"site-packages/app/__init__.py", "import sys\n"},
                        {"site-packages/app/main.py", std::string(9000, 'x')},
                        {"site-packages/b/__init__.py", "import sys\n"},
                        {"site-packages/b/empty", ""},
                        {"top", "top"}});
  EXPECT_TRUE(
      tree.AddSymlink("site-packages/link", {.mode = 0777, .mtime = -5}, "app/main.py", ""));
  EXPECT_TRUE(tree.AddDirectory("void", {.mode = 01711, .mtime = 7, .mtime_nanoseconds = 9}, ""));
  return tree;
}

TEST(ImageWriterTest, HeaderAndTrailerAgree) {
  ParsedImage image(BuildImage(SampleTree(), kSmallBlocks));
  format::Header header;
  std::memcpy(&header, image.bytes().data(), sizeof header);
  EXPECT_EQ(header.magic, format::kHeaderMagic);
  EXPECT_EQ(header.image_size, image.bytes().size());
  EXPECT_EQ(header.image_size, image.trailer().image_size);
  EXPECT_EQ(header.runtime_size, 0u);
  EXPECT_EQ(header.digest, format::Sha256Of(std::as_bytes(std::span(&header, 1)).first(32)));
  EXPECT_EQ(image.trailer().file_count, 5u);
  EXPECT_EQ(image.trailer().content_size, 9025u);
  EXPECT_EQ(image.trailer().profile_size, 0u);
  EXPECT_EQ(image.trailer().index_offset % 4096, 0u);
  EXPECT_EQ(image.trailer().manifest_digest, format::Sha256Of(AsBytes(image.manifest_text)));
  EXPECT_EQ(image.trailer().profile_digest, format::Sha256Of({}));
  EXPECT_EQ(image.trailer().runtime_digest, format::Sha256Of({}));
  EXPECT_EQ(image.trailer().root,
            format::Sha256Of(image.bytes().last(sizeof(format::Trailer)).first(352)));
  EXPECT_EQ(Expect(format::ParseManifest(image.manifest_text)).name, "test");
}

TEST(ImageWriterTest, RowsAreBreadthFirstAndSorted) {
  ParsedImage image(BuildImage(SampleTree(), kSmallBlocks));
  std::vector<std::string> paths;
  for (std::size_t row = 0; row < image.inodes.size(); ++row) {
    paths.push_back(image.Path(row));
    const format::Inode& inode = image.inodes[row];
    EXPECT_TRUE(row == 0 || inode.parent < row);
    EXPECT_EQ(inode.reserved, 0u);
    if (!S_ISDIR(inode.mode)) continue;
    for (std::uint64_t child = inode.first; child < inode.first + inode.count; ++child) {
      EXPECT_EQ(image.inodes.at(child).parent, row);
    }
  }
  EXPECT_EQ(paths,
            (std::vector<std::string>{"", "site-packages", "top", "void", "site-packages/app",
                                      "site-packages/b", "site-packages/link",
                                      "site-packages/app/__init__.py", "site-packages/app/main.py",
                                      "site-packages/b/__init__.py", "site-packages/b/empty"}));
  EXPECT_EQ(image.At("").links, 4u);
  EXPECT_EQ(image.At("void").links, 2u);
  EXPECT_EQ(image.At("void").mode, S_IFDIR | 01711u);
  EXPECT_EQ(image.At("void").mtime, 7);
  EXPECT_EQ(image.At("void").mtime_nanoseconds, 9u);
  EXPECT_EQ(image.At("top").mode, S_IFREG | 0644u);
  const format::Inode& link = image.At("site-packages/link");
  EXPECT_EQ(link.mode, S_IFLNK | 0777u);
  EXPECT_EQ(link.mtime, -5);
  EXPECT_EQ(image.strings.substr(link.first, link.size), "app/main.py");
  // Equal names share their bytes.
  EXPECT_EQ(image.At("site-packages/app/__init__.py").name_offset,
            image.At("site-packages/b/__init__.py").name_offset);
}

TEST(ImageWriterTest, ContentsComeBack) {
  ParsedImage image(BuildImage(SampleTree(), kSmallBlocks));
  EXPECT_EQ(image.Contents(image.At("top")), "top");
  EXPECT_EQ(image.Contents(image.At("site-packages/app/main.py")), std::string(9000, 'x'));
  EXPECT_EQ(image.Contents(image.At("site-packages/b/__init__.py")), "import sys\n");
  EXPECT_EQ(image.At("site-packages/b/empty").count, 0u);
  // Identical files share their extents.
  EXPECT_EQ(image.At("site-packages/app/__init__.py").first,
            image.At("site-packages/b/__init__.py").first);
}

TEST(ImageWriterTest, BlocksFollowEachOtherBehindTheHeader) {
  Tree tree = SampleTree();
  ASSERT_TRUE(tree.AddText("random", RandomBytes(3 * kBlock + 5, 1)));
  ParsedImage image(BuildImage(tree, kSmallBlocks));
  std::uint64_t expected = sizeof(format::Header);
  for (const format::Block& block : image.blocks) {
    EXPECT_EQ(block.offset, expected);
    EXPECT_GE(block.stored_size, 1u);
    EXPECT_LE(block.raw_size, kBlock);
    EXPECT_EQ(block.codec == format::Codec::kStored, block.stored_size == block.raw_size);
    expected += block.stored_size;
  }
  EXPECT_EQ(image.trailer().index_offset, (expected + 4095) / 4096 * 4096);
}

// lz4 in small blocks for what a start reads, zstd in large ones for the rest, no block with both.
TEST(ImageWriterTest, AutoTreatsAStartsFilesDifferently) {
  auto text = [](std::size_t size, int seed) {
    std::string bytes;
    for (std::size_t i = 0; bytes.size() < size; ++i)
      bytes += fmt::format("line {} of {}\n", i * i % 1000, seed);
    bytes.resize(size);
    return bytes;
  };
  const std::string large = text(10 * kBlock + 7, 1), small = text(200, 2), cold = text(300, 3),
                    big = text((3u << 20) + 9, 4);
  Tree tree =
      MakeTree({{"cold", cold}, {"hot/large", large}, {"hot/small", small}, {"later.txt", big}});
  ImageOptions options = kSmallBlocks;
  options.compression = Compression::kAuto;
  options.layout.files = {"hot/small", "not/there", "hot/large"};
  ParsedImage image(BuildImage(tree, options));
  EXPECT_EQ(image.trailer().block_size, 1u << 20);
  EXPECT_EQ(image.trailer().incompatible, format::kZstdBlocks);
  for (const auto& [path, bytes] : {std::pair("cold", cold), std::pair("later.txt", big)}) {
    EXPECT_EQ(image.Contents(image.At(path)), bytes);
    for (const format::Extent& extent : image.ExtentsOf(image.At(path))) {
      EXPECT_EQ(image.blocks[extent.block].codec, format::Codec::kZstd);
    }
  }
  EXPECT_EQ(image.ExtentsOf(image.At("later.txt")).size(), 1u);
  EXPECT_EQ(image.Contents(image.At("hot/large")), large);
  EXPECT_EQ(image.ExtentsOf(image.At("hot/large")).size(), 11u);
  EXPECT_EQ(image.Contents(image.At("hot/small")), small);
  EXPECT_LE(image.ExtentsOf(image.At("hot/small")).front().block, 11u) << "before everything else";
  for (const format::Extent& extent : image.ExtentsOf(image.At("hot/large"))) {
    EXPECT_LE(image.blocks[extent.block].raw_size, kBlock);
    if (extent.length < kBlock) continue;  // too little to compress
    EXPECT_EQ(image.blocks[extent.block].codec, format::Codec::kLz4);
  }
  // A file that has parts is read from beginning to end: blocks four times as large.
  ASSERT_EQ(Message(tree.AddText("part", large.substr(100, 3 * kBlock))), "");
  ImageOptions with_part = options;
  with_part.layout.parts = {{tree.Find("part")->file(), tree.Find("hot/large")->file(), 100}};
  ParsedImage parted(BuildImage(tree, with_part));
  EXPECT_EQ(parted.ExtentsOf(parted.At("hot/large")).size(), 3u);
  EXPECT_EQ(parted.Contents(parted.At("hot/large")), large);
  EXPECT_EQ(parted.Contents(parted.At("part")), large.substr(100, 3 * kBlock));
  options.compression = Compression::kNone;
  ParsedImage stored(BuildImage(tree, options));
  EXPECT_EQ(stored.trailer().incompatible, 0u);
  for (const format::Block& block : stored.blocks) EXPECT_EQ(block.codec, format::Codec::kStored);
}

TEST(ImageWriterTest, ARunOfFullBlocksIsOneExtent) {
  std::string bytes = RandomBytes(10 * kBlock + 123, 2);
  Tree tree = MakeTree({{"a", "small"}, {"big", bytes}, {"c", "another"}});
  ParsedImage image(BuildImage(tree, kSmallBlocks));
  auto extents = image.ExtentsOf(image.At("big"));
  ASSERT_EQ(extents.size(), 1u);
  EXPECT_EQ(extents[0].length, bytes.size());
  EXPECT_EQ(extents[0].block_offset, 0u);
  EXPECT_EQ(image.Contents(image.At("big")), bytes);
  ASSERT_EQ(image.ExtentsOf(image.At("c")).size(), 1u);
  EXPECT_EQ(image.ExtentsOf(image.At("c"))[0].block_offset, 5u);  // behind "small", in its block
}

TEST(ImageWriterTest, ZerosBecomeHolesWhetherOrNotTheFileIsSparse) {
  // data, 2 blocks of zeros, data with zeros inside, zeros up to an uneven end
  std::string bytes = RandomBytes(kBlock, 3) + std::string(2 * kBlock, '\0') + RandomBytes(100, 4) +
                      std::string(kBlock - 100, '\0') + std::string(2 * kBlock + 77, '\0');
  TempDir dir;
  testing::WriteTestFile(dir / "dense", bytes);
  {
    UniqueFd sparse = Expect(OpenFile(dir / "sparse", O_RDWR | O_CREAT, 0600));
    ASSERT_EQ(::ftruncate(sparse.get(), static_cast<off_t>(bytes.size())), 0);
    for (std::size_t offset : {std::size_t{0}, std::size_t{3 * kBlock}}) {
      ASSERT_TRUE(WriteAllAt(sparse.get(), AsBytes(bytes).subspan(offset, kBlock), offset));
    }
  }
  auto root = std::make_shared<const InputRoot>(
      InputRoot{Expect(OpenFile(dir.path(), O_RDONLY | O_DIRECTORY)), dir.path()});
  std::vector<std::vector<std::byte>> images;
  for (const char* name : {"dense", "sparse"}) {
    Tree tree;
    ASSERT_TRUE(tree.AddFile("f", {}, bytes.size(), testing::SourceOnDisk(root, name)));
    images.push_back(BuildImage(tree, kSmallBlocks));
  }
  EXPECT_EQ(images[0], images[1]);
  ParsedImage image(images[0]);
  auto extents = image.ExtentsOf(image.At("f"));
  ASSERT_EQ(extents.size(), 4u);
  EXPECT_EQ(extents[1].block, format::kHoleBlock);
  EXPECT_EQ(extents[1].length, 2 * kBlock);
  EXPECT_EQ(extents[1].block_offset, 0u);
  EXPECT_EQ(extents[3].block, format::kHoleBlock);
  EXPECT_EQ(extents[3].length, 2 * kBlock + 77);
  EXPECT_EQ(image.blocks.size(), 2u);
  EXPECT_EQ(image.Contents(image.At("f")), bytes);
}

TEST(ImageWriterTest, ASparseFileUsedInPartComesBack) {
  constexpr std::size_t kHole = 512u << 10;
  const std::string bytes = RandomBytes(100'000, 1) + std::string(kHole, '\0') +
                            RandomBytes(100'000, 2) + std::string(kHole, '\0');
  TempDir dir;
  {
    UniqueFd sparse = Expect(OpenFile(dir / "sparse", O_RDWR | O_CREAT, 0600));
    ASSERT_EQ(::ftruncate(sparse.get(), static_cast<off_t>(bytes.size())), 0);
    for (std::size_t offset : {std::size_t{0}, 100'000 + kHole}) {
      ASSERT_TRUE(WriteAllAt(sparse.get(), AsBytes(bytes).subspan(offset, 100'000), offset));
    }
  }
  auto root = std::make_shared<const InputRoot>(
      InputRoot{Expect(OpenFile(dir.path(), O_RDONLY | O_DIRECTORY)), dir.path()});
  Tree tree;
  ASSERT_TRUE(tree.AddFile("f", {}, bytes.size(), testing::SourceOnDisk(root, "sparse")));
  // In data, across both ends of a hole, in a hole, at the end.
  StartLayout layout{.files = {"f"},
                     .ranges = {{"f",
                                 {{20'000, 100},
                                  {99'000, 2000},
                                  {300'000, 5},
                                  {99'900 + kHole, 200},
                                  {bytes.size() - 1, 1}}}}};
  for (std::uint32_t size : {kBlock, 128u << 10}) {
    ParsedImage image(BuildImage(tree, {.block_size = size, .workers = 2, .layout = layout}));
    EXPECT_TRUE(image.Contents(image.At("f")) == bytes) << size;
    std::uint64_t holes = 0;
    for (const format::Extent& extent : image.ExtentsOf(image.At("f")))
      holes += extent.block == format::kHoleBlock ? extent.length : 0;
    EXPECT_GT(holes, kHole) << size;
  }
}

TEST(ImageWriterTest, AFileOfZerosNeedsNoBlock) {
  Tree tree = MakeTree({{"z", std::string(3 * kBlock, '\0')}});
  ParsedImage image(BuildImage(tree, kSmallBlocks));
  EXPECT_EQ(image.blocks.size(), 0u);
  ASSERT_EQ(image.extents.size(), 1u);
  EXPECT_EQ(image.extents[0].length, 3 * kBlock);
}

TEST(ImageWriterTest, AHugeSparseFileIsNotRead) {
  TempDir dir;
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 40;
  UniqueFd fd = Expect(OpenFile(dir / "huge", O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), kHuge), 0);
  ASSERT_TRUE(WriteAllAt(fd.get(), AsBytes("middle"), kHuge / 2 + 5));
  auto root = std::make_shared<const InputRoot>(
      InputRoot{Expect(OpenFile(dir.path(), O_RDONLY | O_DIRECTORY)), dir.path()});
  Tree tree;
  ASSERT_TRUE(tree.AddFile("huge", {}, kHuge, testing::SourceOnDisk(root, "huge")));
  ParsedImage image(BuildImage(tree));
  ASSERT_EQ(image.extents.size(), 3u);
  EXPECT_EQ(image.blocks.size(), 1u);
  EXPECT_EQ(image.extents[2].file_offset + image.extents[2].length, kHuge);
}

TEST(ImageWriterTest, TheEmptyTreeIsARootDirectory) {
  ParsedImage image(BuildImage(Tree()));
  ASSERT_EQ(image.inodes.size(), 1u);
  EXPECT_EQ(image.inodes[0].mode, S_IFDIR | 0755u);
  EXPECT_EQ(image.inodes[0].links, 2u);
  EXPECT_EQ(image.inodes[0].count, 0u);
}

TEST(ImageWriterTest, BytesDoNotDependOnTheNumberOfWorkers) {
  Tree tree = SampleTree();
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(tree.AddText(fmt::format("many/{}", i),
                             RandomBytes(static_cast<std::size_t>(i * i % 20000), 7)));
  }
  auto one = BuildImage(tree, {.block_size = kBlock, .workers = 1});
  auto five = BuildImage(tree, {.block_size = kBlock, .workers = 5});
  EXPECT_TRUE(one == five);
}

TEST(ImageWriterTest, TheReaderAgrees) {
  Tree tree = SampleTree();
  for (unsigned i = 0; i < 500; ++i) {
    ASSERT_TRUE(tree.AddText(fmt::format("many/{:x}/\xf0{}", i % 7, i), RandomBytes(i * 97, i)));
  }
  ImageReader reader = *ImageReader::Open(MemoryFile(BuildImage(tree, kSmallBlocks)));
  std::uint64_t nodes = 1;
  tree.Walk([&](const std::string& path, const TreeNode& node) {
    ++nodes;
    auto entry = reader.Resolve(path);
    ASSERT_TRUE(entry) << path << ": " << entry.error().message();
    EXPECT_EQ(entry->attributes.mode, node.attributes.mode) << path;
    EXPECT_EQ(entry->attributes.mtime, node.attributes.mtime) << path;
    if (const TreeNode::File* file = node.file()) {
      ASSERT_EQ(entry->attributes.size, file->size);
      std::string bytes(file->size, '\0');
      auto count = reader.Read(entry->inode, 0, std::as_writable_bytes(std::span(bytes)));
      ASSERT_TRUE(count) << count.error().message();
      EXPECT_EQ(*count, file->size);
      EXPECT_EQ(bytes, Expect(ReadSource(file->source, file->size))) << path;
    } else if (const TreeNode::Directory* directory = node.directory()) {
      EXPECT_EQ(Expect(reader.EntryCount(entry->inode)), directory->children.size());
    } else {
      EXPECT_EQ(Expect(reader.ReadLink(entry->inode)), node.symlink()->target);
    }
  });
  EXPECT_EQ(reader.inode_count(), nodes);
}

TEST(ImageWriterTest, ProgressEndsWithAllBytes) {
  std::uint64_t last = 0, all = 0;
  BuildImage(SampleTree(),
             {.block_size = kBlock, .workers = 2, .progress = [&](auto done, auto total) {
                EXPECT_GE(done, last);
                last = done;
                all = total;
              }});
  EXPECT_EQ(last, 9014u);  // one of the two equal files
  EXPECT_EQ(all, 9014u);
}

// A disk that is full after `limit` bytes.
class FullSink : public ByteSink {
 public:
  explicit FullSink(std::uint64_t limit) : limit_(limit) {}
  Result<> Append(std::span<const std::byte> data) override {
    if (size_ + data.size() > limit_) return Failure(Error::FromErrno("write 'x'", ENOSPC));
    size_ += data.size();
    return {};
  }
  Result<> Patch(std::uint64_t, std::span<const std::byte>) override { return {}; }
  std::uint64_t size() const override { return size_; }

 private:
  std::uint64_t limit_, size_ = 0;
};

TEST(ImageWriterTest, AFullDiskIsAnErrorWhereverItHappens) {
  Tree tree = SampleTree();
  ASSERT_TRUE(tree.AddText("random", RandomBytes(100 * kBlock, 1)));
  std::uint64_t size = BuildImage(tree, kSmallBlocks).size();
  for (std::uint64_t limit = 0; limit < size; limit += 1009) {
    FullSink sink(limit);
    auto result =
        WriteImage(tree, testing::TestManifest(), {.block_size = kBlock, .workers = 2}, sink);
    ASSERT_EQ(Message(result), "write 'x': No space left on device");
  }
  FullSink sink(size);
  EXPECT_TRUE(WriteImage(tree, testing::TestManifest(), kSmallBlocks, sink));
}

TEST(ImageWriterTest, AFileThatShrinksWhileReadIsAnError) {
  Tree tree;
  ASSERT_TRUE(tree.AddFile("f", {}, 10, FileSource::InMemory("short", "origin")));
  MemorySink sink;
  EXPECT_EQ(Message(WriteImage(tree, testing::TestManifest(), kSmallBlocks, sink)),
            "'origin': changed while it was being packed; build again when nothing writes to it");
}

}  // namespace
}  // namespace haft
