#include "haft/archive/zip_archive.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "haft/base/file_io.h"
#include "support/expect.h"
#include "support/test_tree.h"
#include "zip_maker.h"

namespace haft::testing {
namespace {

constexpr std::size_t kPiece = 128u << 10;

Result<std::shared_ptr<ZipArchive>> Open(const MadeZip& zip) {
  return ZipArchive::Open(ZipFd(zip.Bytes()), "t.zip");
}

Result<std::string> ReadAll(ZipArchive& archive, std::uint32_t entry) {
  std::string data(archive.MemberSize(entry), '\0');
  TRY(archive.ReadMember(entry, 0, std::as_writable_bytes(std::span(data))));
  return data;
}

// Text that deflate makes smaller, but not by far.
std::string Text(std::size_t size, unsigned seed) {
  std::string bytes = RandomBytes(size, seed);
  for (char& c : bytes) c = static_cast<char>('a' + (static_cast<unsigned char>(c) & 15));
  return bytes;
}

TEST(ZipArchive, ReadsStoredAndDeflated) {
  for (std::uint16_t method : {std::uint16_t{0}, std::uint16_t{8}}) {
    for (std::size_t size :
         {std::size_t{0}, std::size_t{1}, kPiece - 1, kPiece, kPiece + 1, 3 * kPiece + 5}) {
      std::string data = Text(size, 1);
      auto archive = Expect(Open(ZipOf({{.name = "f", .data = data, .method = method}})));
      ASSERT_NE(archive, nullptr);
      EXPECT_TRUE(archive->Check(0));
      EXPECT_TRUE(Expect(ReadAll(*archive, 0)) == data) << method << " " << size;
      EXPECT_TRUE(archive->Check(0));
    }
  }
}

TEST(ZipArchive, ReadsWithStubCommentAndDescriptor) {
  MadeZip zip = ZipOf({{.name = "a",
                        .data = "first",
                        .flags = 8,
                        .descriptor = MadeEntry::Descriptor::kWithSignature},
                       {.name = "b",
                        .data = std::string(5000, 'x'),
                        .method = 8,
                        .flags = 8,
                        .descriptor = MadeEntry::Descriptor::kWide}});
  zip.comment = "a comment with PK\5\6 in it, and more text";
  for (std::string stub : {"", "#!/bin/sh\nexit 1\n"}) {
    for (bool adjusted : {false, true}) {
      for (bool zip64 : {false, true}) {
        zip.stub = stub;
        zip.adjusted = adjusted;
        zip.zip64 = zip64;
        auto archive = Expect(Open(zip));
        ASSERT_NE(archive, nullptr) << stub << adjusted << zip64;
        EXPECT_EQ(Expect(ReadAll(*archive, 0)), "first");
        EXPECT_EQ(Expect(ReadAll(*archive, 1)), std::string(5000, 'x'));
      }
    }
  }
}

// What is found wrong only by decoding: for one entry, the others are as good as before.
void ExpectDamaged(MadeEntry entry, std::string_view why) {
  std::string message = "'t.zip': entry 'bad': the data is damaged: " + std::string(why);
  entry.name = "bad";
  auto archive = Expect(Open(ZipOf(
      {{.name = "good", .data = "fine"}, std::move(entry), {.name = "also", .data = "good"}})));
  ASSERT_NE(archive, nullptr);
  std::string data(archive->MemberSize(1), '?');
  auto bytes = std::as_writable_bytes(std::span(data));
  for (int i = 0; i < 2; ++i) {  // remembered
    auto read = archive->ReadMember(1, data.size() - 1, bytes.subspan(data.size() - 1));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().message(), message);
    EXPECT_EQ(read.error().ToErrno(), EIO);
    EXPECT_EQ(Message(archive->Check(1)), message);
  }
  EXPECT_EQ(Message(archive->ReadMember(1, 0, bytes.first(1))), message);
  EXPECT_EQ(data.back(), '?') << "bytes of a damaged entry were handed out";
  EXPECT_EQ(Expect(ReadAll(*archive, 0)), "fine");
  EXPECT_EQ(Expect(ReadAll(*archive, 2)), "good");
}

TEST(ZipArchive, WrongCrc) {
  for (std::size_t size : {std::size_t{10}, kPiece, 5 * kPiece}) {
    for (std::uint16_t method : {std::uint16_t{0}, std::uint16_t{8}}) {
      ExpectDamaged({.data = Text(size, 2), .method = method, .crc = 12345u}, "its CRC is wrong");
    }
  }
}

TEST(ZipArchive, WrongLength) {
  for (std::size_t size : {std::size_t{1000}, 5 * kPiece}) {
    std::string data = Text(size, 3);
    auto declared = static_cast<std::uint32_t>(size);
    MadeEntry small = {.data = data, .method = 8, .size = declared - 1};
    ExpectDamaged(small, "more than the " + std::to_string(size - 1) + " bytes declared");
    small.crc = Crc32(std::string_view(data).substr(0, size - 1));
    ExpectDamaged(small, "more than the " + std::to_string(size - 1) + " bytes declared");
    small.size = 10u;
    ExpectDamaged(small, "more than the 10 bytes declared");
    ExpectDamaged({.data = data, .method = 8, .size = declared + 1},
                  std::to_string(size) + " bytes, " + std::to_string(size + 1) + " are declared");
  }
}

TEST(ZipArchive, DamagedDeflate) {
  ExpectDamaged({.data = Text(1000, 4), .method = 8, .packed = RandomBytes(500, 5)},
                "Zlib error: data error");
  std::string packed = Deflate(Text(1000, 4));
  packed.resize(packed.size() / 2);
  auto archive =
      Expect(Open(ZipOf({{.name = "bad", .data = Text(1000, 4), .method = 8, .packed = packed}})));
  ASSERT_NE(archive, nullptr);
  EXPECT_FALSE(archive->Check(0));
}

TEST(ZipArchive, EntriesThatSayTheyAreEmpty) {
  Expect(Open(ZipOf({{.name = "e", .method = 8}})));
  Expect(Open(ZipOf({{.name = "e", .method = 8, .packed = ""}})));
  // An empty stored block.
  Expect(Open(ZipOf({{.name = "e", .method = 8, .packed = std::string("\1\0\0\xff\xff", 5)}})));
  EXPECT_EQ(
      Message(Open(ZipOf({{.name = "e", .data = "not", .method = 8, .crc = 0u, .size = 0u}}))),
      "'t.zip': entry 'e': the data is damaged: more than the 0 bytes declared");
  EXPECT_NE(Message(Open(ZipOf({{.name = "e", .method = 8, .packed = "\xff\xff"}}))), "");
}

TEST(ZipArchive, AnyOrderAndSize) {
  // Larger than what is kept of one entry, so that going back starts over.
  std::string data = Text(70 * kPiece + 123, 6);
  for (std::uint16_t method : {std::uint16_t{0}, std::uint16_t{8}}) {
    auto archive = Expect(Open(
        ZipOf({{.name = "big", .data = data, .method = method}, {.name = "s", .data = "small"}})));
    ASSERT_NE(archive, nullptr);
    for (std::size_t offset :
         {data.size() - 10, std::size_t{0}, 5 * kPiece - 7, 66 * kPiece, kPiece, 60 * kPiece + 1}) {
      std::string part(std::min<std::size_t>(2 * kPiece + 50, data.size() - offset), '\0');
      ASSERT_TRUE(archive->ReadMember(0, offset, std::as_writable_bytes(std::span(part))));
      EXPECT_TRUE(part == data.substr(offset, part.size())) << method << " at " << offset;
      EXPECT_EQ(Expect(ReadAll(*archive, 1)), "small");
    }
  }
}

TEST(ZipArchive, ManyThreads) {
  std::vector<std::string> contents;
  MadeZip zip;
  for (unsigned i = 0; i < 6; ++i) {
    contents.push_back(Text(i * kPiece + i, 10 + i));
    zip.entries.push_back({.name = "f" + std::to_string(i),
                           .data = contents[i],
                           .method = static_cast<std::uint16_t>(i % 2 ? 8 : 0)});
  }
  auto archive = Expect(Open(zip));
  ASSERT_NE(archive, nullptr);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (unsigned round = 0; round < 5; ++round) {
        for (unsigned i = 0; i < 6; ++i) {
          unsigned entry = (i * (t + 1) + round) % 6;
          if (t == 3) {
            EXPECT_TRUE(archive->Check(entry));
          }
          EXPECT_TRUE(Expect(ReadAll(*archive, entry)) == contents[entry]);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(ZipArchive, FileThatChangesIsAnError) {
  std::string data = Text(10 * kPiece, 20);
  for (std::uint16_t method : {std::uint16_t{0}, std::uint16_t{8}}) {
    MadeZip zip = ZipOf({{.name = "f", .data = data, .method = method},
                         {.name = "g", .data = data + "x", .method = 8},
                         {.name = "h", .data = data + "y", .method = 8}});
    UniqueFd fd = ZipFd(zip.Bytes());
    int same = fd.get();
    auto archive = Expect(ZipArchive::Open(std::move(fd), "t.zip"));
    ASSERT_NE(archive, nullptr);
    ASSERT_TRUE(archive->Check(0));
    ASSERT_TRUE(archive->Check(1) && archive->Check(2));  // decoded bytes of f are forgotten now
    std::byte changed{0xA5};
    ASSERT_TRUE(WriteAllAt(same, {&changed, 1}, 30 + 1 + 5000));
    std::string part(kPiece, '\0');
    EXPECT_FALSE(archive->ReadMember(0, 0, std::as_writable_bytes(std::span(part))));
    // Cut off: an error, not a signal; or what is still in memory.
    ASSERT_EQ(::ftruncate(same, 1000), 0);
    EXPECT_FALSE(ReadAll(*archive, 0));
    for (std::uint32_t i = 1; i < 3; ++i) {
      auto read = ReadAll(*archive, i);
      EXPECT_TRUE(!read || *read == zip.entries[i].data) << i;
    }
  }
}

TEST(ZipArchive, SurvivesFork) {
  std::string data = Text(5 * kPiece, 21);
  auto archive = Expect(Open(
      ZipOf({{.name = "f", .data = data, .method = 8}, {.name = "g", .data = data, .method = 8}})));
  ASSERT_NE(archive, nullptr);
  ASSERT_TRUE(archive->Check(0));
  pid_t child = ::fork();
  if (child == 0) {
    bool good = true;
    for (int i = 0; i < 20; ++i)
      good = good && ReadAll(*archive, static_cast<std::uint32_t>(i % 2)).value_or("") == data;
    ::_exit(good ? 0 : 1);
  }
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_TRUE(Expect(ReadAll(*archive, i % 2)) == data);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// Whatever bytes are changed: refused, or right. Two thousand times, the same ones every time.
TEST(ZipArchive, MutatedArchives) {
  MadeZip zip = ZipOf({{.name = "d/", .mode = 040755},
                       {.name = "d/stored", .data = Text(300, 40)},
                       {.name = "d/deflated", .data = Text(900, 41), .method = 8},
                       {.name = "link", .data = "d/stored", .mode = 0120777},
                       {.name = "streamed",
                        .data = Text(200, 42),
                        .method = 8,
                        .flags = 8,
                        .extra = Extra(0x5455, "\1abcd"),
                        .descriptor = MadeEntry::Descriptor::kWithSignature}});
  zip.comment = "comment";
  std::mt19937 random(4711);
  unsigned opened = 0, refused = 0;
  for (int round = 0; round < 2000; ++round) {
    zip.stub = round % 4 == 0 ? "#!/bin/sh\n" : "";
    zip.zip64 = round % 3 == 0;
    std::string bytes = zip.Bytes();
    for (unsigned i = 0; i <= random() % 4; ++i) {
      // Half of them where the directory is.
      std::size_t at = random() % 2 == 0 ? random() % bytes.size()
                                         : bytes.size() - 1 - random() % (bytes.size() / 3);
      const unsigned edges[] = {0x00, 0x01, 0x7F,
                                0x80, 0xFF, static_cast<unsigned>(random() & 0xFF)};
      bytes[at] = static_cast<char>(edges[random() % 6]);
    }
    if (round % 10 == 9) bytes.erase(random() % bytes.size(), 1 + random() % 8);
    auto archive = ZipArchive::Open(ZipFd(bytes), "t.zip");
    if (!archive) {
      ++refused;
      EXPECT_EQ(archive.error().message().find('\n'), std::string::npos);
      continue;
    }
    ++opened;
    const std::vector<ZipEntry>& entries = (*archive)->directory().entries;
    for (std::uint32_t i = 0; i < entries.size(); ++i) {
      auto data = ReadAll(**archive, i);
      if (!data) continue;
      auto original = std::ranges::find(zip.entries, entries[i].name, &MadeEntry::name);
      if (original != zip.entries.end()) {
        EXPECT_EQ(*data, original->data) << round;
      }
    }
    Tree tree;
    static_cast<void>(AddArchive(*archive, tree));
  }
  EXPECT_GT(opened, 100u);
  EXPECT_GT(refused, 100u);
}

// --- as an input of a build ---

TEST(AddInputZip, MakesATree) {
  TempDir dir;
  MadeZip zip = ZipOf({{.name = "pkg/", .mode = 040700},
                       {.name = "pkg/a.py", .data = "a = 1\n", .method = 8, .mode = 0100640},
                       {.name = "pkg/link", .data = "a.py", .mode = 0120777},
                       {.name = "other/deep/b.py", .data = Text(3 * kPiece, 30), .method = 8}});
  WriteTestFile(dir / "in.zip", zip.Bytes());
  Tree tree;
  EXPECT_EQ(Expect(AddInputZip(dir / "in.zip", "site-packages", tree)), 2u);
  const TreeNode* file = tree.Find("site-packages/pkg/a.py");
  ASSERT_TRUE(file != nullptr && file->file() != nullptr);
  EXPECT_EQ(file->attributes.mode, 0640u);
  EXPECT_EQ(file->attributes.mtime, 315532800);
  EXPECT_EQ(Expect(ReadSource(file->file()->source, file->file()->size)), "a = 1\n");
  EXPECT_EQ(file->file()->source.origin(), (dir / "in.zip") + "/pkg/a.py");
  ASSERT_NE(tree.Find("site-packages/pkg/link"), nullptr);
  EXPECT_EQ(tree.Find("site-packages/pkg/link")->symlink()->target, "a.py");
  EXPECT_EQ(tree.Find("site-packages/pkg")->attributes.mode, 0700u);
  ASSERT_NE(tree.Find("site-packages/other/deep/b.py"), nullptr);
  // Twice the same is the same.
  EXPECT_TRUE(AddInputZip(dir / "in.zip", "site-packages", tree));
}

TEST(AddInputZip, WritesAnImage) {
  TempDir dir;
  MadeZip zip;
  for (unsigned i = 0; i < 20; ++i) {
    zip.entries.push_back(
        {.name = "f" + std::to_string(i), .data = Text(i * 40000, i), .method = 8});
  }
  WriteTestFile(dir / "in.zip", zip.Bytes());
  Tree from_zip, from_memory;
  ASSERT_TRUE(AddInputZip(dir / "in.zip", "", from_zip));
  for (const MadeEntry& entry : zip.entries)
    ASSERT_TRUE(from_memory.AddText(entry.name, entry.data));
  EXPECT_TRUE(BuildImage(from_zip, {.workers = 3}) == BuildImage(from_memory, {.workers = 1}));
}

TEST(AddInputZip, DamageStopsTheBuild) {
  TempDir dir;
  MadeZip zip = ZipOf({{.name = "bad", .data = "some data", .crc = 1u}});
  WriteTestFile(dir / "in.zip", zip.Bytes());
  Tree tree;
  ASSERT_TRUE(AddInputZip(dir / "in.zip", "", tree));
  MemorySink sink;
  EXPECT_EQ(Message(WriteImage(tree, TestManifest(), {.workers = 2}, sink)),
            "'" + (dir / "in.zip") + "': entry 'bad': the data is damaged: its CRC is wrong");
}

TEST(AddInputZip, Limits) {
  TempDir dir;
  WriteTestFile(
      dir / "in.zip",
      ZipOf({{.name = "zeros", .data = std::string(2 << 20, '\0'), .method = 8}}).Bytes());
  Tree tree;
  EXPECT_EQ(
      Message(AddInputZip(dir / "in.zip", "", tree, {}, 1 << 20)),
      "'" + (dir / "in.zip") + "': would unpack to 2097152 bytes, at most 1048576 are allowed");
  EXPECT_TRUE(AddInputZip(dir / "in.zip", "", tree, {}, 2 << 20));
}

TEST(AddInputZip, LinkTargets) {
  TempDir dir;
  WriteTestFile(dir / "in.zip",
                ZipOf({{.name = "l", .data = std::string("a\0b", 3), .mode = 0120777}}).Bytes());
  Tree tree;
  EXPECT_EQ(Message(AddInputZip(dir / "in.zip", "", tree)),
            "'" + (dir / "in.zip") + "': entry 'l': the link's target has a zero byte");
  WriteTestFile(dir / "crc.zip",
                ZipOf({{.name = "l", .data = "target", .mode = 0120777, .crc = 1u}}).Bytes());
  EXPECT_EQ(Message(AddInputZip(dir / "crc.zip", "", tree)),
            "'" + (dir / "crc.zip") + "': entry 'l': the data is damaged: its CRC is wrong");
}

}  // namespace
}  // namespace haft::testing
