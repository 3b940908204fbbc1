#include "haft/image/image_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <random>
#include <thread>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::BuildImage;
using testing::Expect;
using testing::ForgedImage;
using testing::MemoryFile;
using testing::Message;
using testing::OpenReader;
using testing::RandomBytes;
using testing::SampleImage;
using testing::SampleTree;

constexpr std::uint32_t kBlock = 4096;

ImageReader Reader(const Tree& tree) {
  return OpenReader(BuildImage(tree, {.block_size = kBlock, .workers = 1}));
}

Tree OneFile(std::string bytes) {
  Tree tree;
  EXPECT_EQ(Message(tree.AddText("file", std::move(bytes))), "");
  return tree;
}

std::string ReadAt(const ImageReader& reader, InodeId file, std::uint64_t offset,
                   std::size_t size) {
  std::vector<std::byte> out(size);
  std::size_t n = Expect(reader.Read(file, offset, out));
  return std::string(AsText(std::span(out).first(n)));
}

std::string NameOf(const std::optional<DirectoryEntry>& entry) {
  return entry ? std::string(entry->name) : "(none)";
}

class SampleReaderTest : public ::testing::Test {
 protected:
  InodeId Inode(std::string_view path) const { return Expect(reader_.Resolve(path)).inode; }

  ImageReader reader_ = Reader(SampleTree());
};

// --- names ---

TEST_F(SampleReaderTest, ListsWhatWasPackedInNameOrder) {
  Tree tree = SampleTree();
  std::size_t nodes = 0;
  tree.Walk([&](const std::string& path, const TreeNode& node) {
    ++nodes;
    auto entry = reader_.Resolve(path);
    ASSERT_EQ(Message(entry), "");
    EXPECT_EQ(entry->attributes.mode, node.attributes.mode) << path;
    EXPECT_EQ(entry->attributes.mtime, node.attributes.mtime) << path;
    EXPECT_EQ(entry->attributes.mtime_nanoseconds, node.attributes.mtime_nanoseconds) << path;
    EXPECT_TRUE(entry->name == path || path.ends_with("/" + std::string(entry->name)));
    if (const auto* file = node.file()) {
      EXPECT_EQ(entry->attributes.type, FileType::kFile);
      EXPECT_EQ(entry->attributes.size, file->size);
      EXPECT_EQ(entry->attributes.links, 1u);
      EXPECT_EQ(ReadAt(reader_, entry->inode, 0, file->size + 10),
                Expect(ReadSource(file->source, file->size)))
          << path;
    } else if (const auto* link = node.symlink()) {
      EXPECT_EQ(entry->attributes.type, FileType::kSymlink);
      EXPECT_EQ(entry->attributes.size, link->target.size());
      EXPECT_EQ(Expect(reader_.ReadLink(entry->inode)), link->target);
    } else {
      const auto& children = node.directory()->children;
      EXPECT_EQ(entry->attributes.type, FileType::kDirectory);
      EXPECT_EQ(entry->attributes.size, 0u);
      EXPECT_EQ(Expect(reader_.EntryCount(entry->inode)), children.size());
      std::uint64_t index = 0;
      for (const auto& [name, child] : children) {
        auto at = Expect(reader_.EntryAt(entry->inode, index++));
        ASSERT_TRUE(at.has_value());
        EXPECT_EQ(at->name, name);
        EXPECT_EQ(at->attributes.parent, entry->inode);
      }
      EXPECT_FALSE(Expect(reader_.EntryAt(entry->inode, index)).has_value());
      EXPECT_FALSE(Expect(reader_.EntryAt(entry->inode, ~std::uint64_t{0})).has_value());
    }
  });
  EXPECT_EQ(reader_.inode_count(), nodes + 1);
}

TEST_F(SampleReaderTest, DirectoriesCountTheirDirectories) {
  EXPECT_EQ(Expect(reader_.Resolve("/")).attributes.links, 5u);  // ., .., many, odd, site-packages
  EXPECT_EQ(Expect(reader_.Resolve("many")).attributes.links, 2u);
  EXPECT_EQ(Expect(reader_.Resolve("odd")).attributes.links, 3u);
}

TEST_F(SampleReaderTest, FindsEveryEntryAndNothingElse) {
  InodeId many = Inode("many");
  for (int i = 0; i < 300; ++i) {
    std::string name = fmt::format("{:04}", i);
    auto found = Expect(reader_.Lookup(many, name));
    ASSERT_EQ(NameOf(found), name);
    ASSERT_EQ(found->inode, Expect(reader_.EntryAt(many, static_cast<std::uint64_t>(i)))->inode);
  }
  // Before the first, between, behind the last, prefixes and extensions.
  for (std::string_view name :
       {"", "0", "000", "00000", "0000x", "0150\xff", "0299x", "03", "a", "\x01", "\xff", "."}) {
    EXPECT_EQ(NameOf(Expect(reader_.Lookup(many, name))), "(none)") << name;
  }
}

TEST_F(SampleReaderTest, FindsLongAndOddNames) {
  InodeId odd = Inode("odd");
  EXPECT_EQ(NameOf(Expect(reader_.Lookup(odd, std::string(255, 'n')))), std::string(255, 'n'));
  EXPECT_EQ(NameOf(Expect(reader_.Lookup(odd, std::string(254, 'n')))), "(none)");
  EXPECT_EQ(NameOf(Expect(reader_.Lookup(odd, std::string(256, 'n')))), "(none)");
  EXPECT_EQ(NameOf(Expect(reader_.Lookup(odd, std::string(100'000, 'n')))), "(none)");
  EXPECT_EQ(NameOf(Expect(reader_.Lookup(odd, "\xff\xfe\n"))), "\xff\xfe\n");
  for (std::string_view name : {".", "..", "d/e", "link/", "/"}) {
    EXPECT_EQ(NameOf(Expect(reader_.Lookup(odd, name))), "(none)") << name;
  }
  EXPECT_EQ(NameOf(Expect(reader_.Lookup(odd, std::string_view("link\0", 5)))), "(none)");
}

TEST_F(SampleReaderTest, SaysWhenSomethingIsNoDirectory) {
  for (std::string_view path : {"site-packages/one.py", "odd/link"}) {
    EXPECT_EQ(reader_.Lookup(Inode(path), "x").error().ToErrno(), ENOTDIR);
    EXPECT_EQ(reader_.EntryAt(Inode(path), 0).error().ToErrno(), ENOTDIR);
    EXPECT_EQ(reader_.EntryCount(Inode(path)).error().ToErrno(), ENOTDIR);
  }
}

TEST_F(SampleReaderTest, AnEmptyDirectoryHasNothing) {
  InodeId empty = Inode("site-packages/empty");
  EXPECT_EQ(Expect(reader_.EntryCount(empty)), 0u);
  EXPECT_FALSE(Expect(reader_.EntryAt(empty, 0)).has_value());
  EXPECT_FALSE(Expect(reader_.Lookup(empty, "x")).has_value());
}

TEST_F(SampleReaderTest, InodesThatDoNotExistAreErrors) {
  for (std::uint64_t row :
       {reader_.inode_count(), std::uint64_t{0x7FFFFFFF}, std::uint64_t{0xFFFFFFFF}}) {
    auto inode = InodeId{static_cast<std::uint32_t>(row)};
    EXPECT_EQ(reader_.Stat(inode).error().kind(), ErrorKind::kCorrupt);
    EXPECT_FALSE(reader_.Lookup(inode, "x").has_value());
    EXPECT_FALSE(reader_.ReadLink(inode).has_value());
    EXPECT_FALSE(reader_.Seek(inode, 0, true).has_value());
  }
}

TEST_F(SampleReaderTest, ResolvesPaths) {
  EXPECT_EQ(Inode(""), InodeId::kRoot);
  EXPECT_EQ(Inode("/"), InodeId::kRoot);
  EXPECT_EQ(Inode("//odd///d/./e/"), Inode("odd/d/e"));
  EXPECT_EQ(Expect(reader_.Resolve("")).name, "");
  auto missing = reader_.Resolve("/odd/x\ny");
  EXPECT_EQ(Message(missing), R"('/odd/x\x0ay': no such file in the image)");
  EXPECT_EQ(missing.error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(Message(reader_.Resolve("odd/../many")), "'odd/../many': no such file in the image");
  EXPECT_EQ(Message(reader_.Resolve("odd/link/x")), "'odd/link/x': not a directory");
  EXPECT_EQ(Message(reader_.Resolve("site-packages/one.py/x")),
            "'site-packages/one.py/x': not a directory");
  EXPECT_EQ(Inode("odd/link"), Expect(reader_.Lookup(Inode("odd"), "link"))->inode)
      << "links are not followed";
}

TEST_F(SampleReaderTest, ReadsLinksOnly) {
  EXPECT_EQ(Expect(reader_.ReadLink(Inode("odd/link"))), "../site-packages/one.py");
  EXPECT_EQ(Expect(reader_.ReadLink(Inode("odd/long-link"))), std::string(4095, 't'));
  EXPECT_EQ(Expect(reader_.ReadLink(Inode("odd/nowhere"))), "/\xff/..");
  EXPECT_EQ(reader_.ReadLink(Inode("odd")).error().ToErrno(), EINVAL);
  EXPECT_EQ(reader_.ReadLink(Inode("site-packages/one.py")).error().ToErrno(), EINVAL);
}

// --- contents ---

TEST_F(SampleReaderTest, OnlyFilesCanBeRead) {
  std::vector<Slice> slices;
  EXPECT_EQ(reader_.Read(Inode("odd"), 0, 1, slices).error().ToErrno(), EISDIR);
  EXPECT_EQ(reader_.Read(Inode("odd/link"), 0, 1, slices).error().ToErrno(), EINVAL);
  EXPECT_EQ(reader_.Seek(Inode("odd"), 0, true).error().ToErrno(), EISDIR);
}

TEST_F(SampleReaderTest, SlicesAreClearedFirstAndEmptyAtTheEnd) {
  std::vector<Slice> slices;
  InodeId text = Inode("site-packages/text");
  ASSERT_EQ(Message(reader_.Read(text, 0, 10'000, slices)), "");
  EXPECT_EQ(slices.size(), 3u);
  ASSERT_EQ(Message(reader_.Read(text, 30'000, 10, slices)), "");
  EXPECT_TRUE(slices.empty());
  ASSERT_EQ(Message(reader_.Read(text, ~std::uint64_t{0}, ~std::size_t{0}, slices)), "");
  EXPECT_TRUE(slices.empty());
  ASSERT_EQ(Message(reader_.Read(text, 5, 0, slices)), "");
  EXPECT_TRUE(slices.empty());
  ASSERT_EQ(Message(reader_.Read(text, 29'999, ~std::size_t{0}, slices)), "");
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0].bytes.size(), 1u);
}

TEST_F(SampleReaderTest, SlicesOutliveWhatTheCacheKeeps) {
  std::vector<Slice> slices;
  ASSERT_EQ(Message(reader_.Read(Inode("site-packages/noise"), 0, 10'001, slices)), "");
  for (int i = 0; i < 300; ++i) ReadAt(reader_, Inode(fmt::format("many/{:04}", i)), 0, 100);
  reader_.cache().Trim();
  std::string bytes;
  for (const Slice& slice : slices) bytes += AsText(slice.bytes);
  EXPECT_EQ(bytes, RandomBytes(10'001, 11));
}

TEST(ImageReaderTest, ReadsRightAtEveryEdge) {
  // Sizes and offsets around the edges of blocks, in compressible, random and sparse contents.
  for (std::size_t size : {1u, 4095u, 4096u, 4097u, 8191u, 8192u, 8193u, 20'000u}) {
    std::string sparse(size, '\0');
    sparse[size - 1] = 'x';
    if (size > 4096) sparse[4096] = 'y';
    for (const std::string& bytes :
         {RandomBytes(size, 1), std::string(size, 'a'), std::string(size, '\0'), sparse}) {
      ImageReader reader = Reader(OneFile(bytes));
      InodeId file = Expect(reader.Resolve("file")).inode;
      std::vector<std::size_t> places = {0,    1,      4095,   4096,     4097, 8191,    8192,
                                         8193, 12'287, 12'288, size - 1, size, size + 1};
      for (std::size_t offset : places) {
        for (std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{4095},
                                   std::size_t{4096}, std::size_t{4097}, size, size + 1}) {
          std::string expected = offset < size ? bytes.substr(offset, length) : "";
          ASSERT_EQ(ReadAt(reader, file, offset, length), expected)
              << size << " " << offset << " " << length;
        }
      }
    }
  }
}

TEST(ImageReaderTest, ReadsRandomRangesOfARandomTree) {
  constexpr unsigned kSeed = 99;
  std::mt19937 chance(kSeed);
  Tree tree;
  std::vector<std::pair<std::string, std::string>> files;
  for (int i = 0; i < 60; ++i) {
    std::string bytes;
    while (chance() % 8 != 0) {
      std::size_t size = chance() % 9000;
      bytes += chance() % 3 == 0   ? std::string(size, '\0')
               : chance() % 2 == 0 ? RandomBytes(size, static_cast<unsigned>(chance()))
                                   : std::string(size, 'z');
    }
    files.emplace_back(fmt::format("d{}/f{}", chance() % 5, i), bytes);
    ASSERT_EQ(Message(tree.AddText(files.back().first, bytes)), "");
  }
  ImageReader reader = Reader(tree);
  for (int i = 0; i < 5'000; ++i) {
    const auto& [path, bytes] = files[chance() % files.size()];
    InodeId file = Expect(reader.Resolve(path)).inode;
    std::size_t offset = chance() % (bytes.size() + 10), length = chance() % 20'000;
    std::string expected = offset < bytes.size() ? bytes.substr(offset, length) : "";
    ASSERT_EQ(ReadAt(reader, file, offset, length), expected)
        << "seed " << kSeed << " " << path << " " << offset;
  }
}

TEST(ImageReaderTest, SeeksDataAndHoles) {
  // Blocks: data, hole, hole, data, hole (up to the end).
  std::string bytes = RandomBytes(kBlock, 1) + std::string(2 * kBlock, '\0') +
                      RandomBytes(kBlock, 2) + std::string(kBlock + 7, '\0');
  ImageReader reader = Reader(OneFile(bytes));
  InodeId file = Expect(reader.Resolve("file")).inode;
  auto data = [&](std::uint64_t offset) { return Expect(reader.Seek(file, offset, false)); };
  auto hole = [&](std::uint64_t offset) { return Expect(reader.Seek(file, offset, true)); };
  EXPECT_EQ(data(0), 0u);
  EXPECT_EQ(data(kBlock - 1), kBlock - 1);
  EXPECT_EQ(data(kBlock), 3 * kBlock);
  EXPECT_EQ(data(3 * kBlock - 1), 3 * kBlock);
  EXPECT_EQ(data(4 * kBlock - 1), 4 * kBlock - 1);
  EXPECT_EQ(hole(0), kBlock);
  EXPECT_EQ(hole(kBlock + 5), kBlock + 5);
  EXPECT_EQ(hole(3 * kBlock), 4 * kBlock);
  EXPECT_EQ(hole(bytes.size() - 1), bytes.size() - 1);
  EXPECT_EQ(reader.Seek(file, 4 * kBlock, false).error().ToErrno(), ENXIO);
  EXPECT_EQ(reader.Seek(file, bytes.size(), false).error().ToErrno(), ENXIO);
  EXPECT_EQ(reader.Seek(file, bytes.size(), true).error().ToErrno(), ENXIO);
  Attributes attributes = Expect(reader.Stat(file));
  EXPECT_EQ(attributes.size, bytes.size());
  EXPECT_EQ(attributes.stored, 2 * kBlock);
}

TEST(ImageReaderTest, TheEndOfAFullFileIsItsHole) {
  ImageReader reader = Reader(OneFile(RandomBytes(5000, 1)));
  InodeId file = Expect(reader.Resolve("file")).inode;
  EXPECT_EQ(Expect(reader.Seek(file, 10, true)), 5000u);
  EXPECT_EQ(Expect(reader.Seek(file, 4999, false)), 4999u);
  EXPECT_EQ(Expect(reader.Stat(file)).stored, 5000u);
}

TEST(ImageReaderTest, SmallFilesShareABlockAndIdenticalOnesTheirBytes) {
  ImageReader reader = Reader(SampleTree());
  reader.cache().Trim();
  auto misses = [&] { return reader.cache().counters().misses; };
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(ReadAt(reader, Expect(reader.Resolve(fmt::format("many/{:04}", i))).inode, 0, 100),
              fmt::format("file {}\n", i));
  }
  EXPECT_LE(misses(), 3u);  // 2,590 bytes in blocks of 4096
}

TEST(ImageReaderTest, TellsBeforeItWorksSlowly) {
  ImageReader reader = Reader(SampleTree());
  int decodes = 0, disks = 0;
  reader.SetSlowWorkHook([&](SlowWork work) { ++(work == SlowWork::kDecode ? decodes : disks); });
  InodeId text = Expect(reader.Resolve("site-packages/text")).inode;
  EXPECT_EQ(decodes + disks, 0) << "look-ups are fast";
  ReadAt(reader, text, 0, 4096);
  EXPECT_EQ(decodes + disks, 1);
  ReadAt(reader, text, 100, 50);
  EXPECT_EQ(decodes + disks, 1) << "a cached block";
  ReadAt(reader, Expect(reader.Resolve("site-packages/zeros")).inode, 0, 50'000);
  EXPECT_EQ(decodes + disks, 1) << "a hole";
}

TEST(ImageReaderTest, ReadersInManyThreadsSeeTheSame) {
  // A cache of two blocks, so that they are in each other's way.
  ImageReader reader = OpenReader(MemoryFile(SampleImage(50)), 1);
  testing::Snapshot expected = testing::TakeSnapshot(reader);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) {
        if (i % 2 == 0) {
          EXPECT_EQ(testing::TakeSnapshot(reader), expected);
        } else {
          EXPECT_EQ(testing::SilentLookupDifferences(expected, reader), std::vector<std::string>());
        }
      }
    });
  }
}

TEST(ImageReaderTest, ASharedHandleOutlivesTheFirstAndUsesItsCache) {
  auto first = std::make_unique<ImageReader>(Reader(OneFile(RandomBytes(kBlock, 1))));
  const InodeId file = Expect(first->Resolve("file")).inode;
  const std::string bytes = ReadAt(*first, file, 0, kBlock);
  ImageReader second = first->Share();
  first.reset();
  EXPECT_EQ(ReadAt(second, file, 0, kBlock), bytes);
  EXPECT_EQ(second.cache().counters().misses, 1u);
}

TEST(ImageReaderTest, OpensAnEmptyTree) {
  ImageReader reader = Reader(Tree());
  EXPECT_EQ(reader.inode_count(), 1u);
  EXPECT_EQ(Expect(reader.EntryCount(InodeId::kRoot)), 0u);
  EXPECT_EQ(Expect(reader.Stat(InodeId::kRoot)).type, FileType::kDirectory);
}

TEST(ImageReaderTest, OpeningReadsAFewPagesWhateverTheSize) {
  // Damage that opening does not look at.
  std::vector<std::byte> image = SampleImage();
  image[100] ^= std::byte{1};
  format::Trailer trailer = testing::TrailerOf(image);
  image[trailer.index_offset + 16384 + 8] ^= std::byte{1};
  image[trailer.manifest_offset] ^= std::byte{1};
  EXPECT_EQ(Message(ImageReader::Open(MemoryFile(image))), "");
}

}  // namespace
}  // namespace haft
