#include "haft/archive/zip_directory.h"

#include <gtest/gtest.h>

#include <chrono>

#include "zip_reading.h"

namespace haft::testing {
namespace {

// --- end records ---

TEST(ZipDirectory, EmptyAndCommented) {
  EXPECT_TRUE(Accept({}).entries.empty());
  EXPECT_TRUE(Accept({.comment = std::string(65535, 'c')}).entries.empty());
  EXPECT_EQ(Accept({.entries = {Plain()}, .comment = "a comment"}).entries.size(), 1u);
  // An end record's signature in a comment that is not an end record.
  EXPECT_EQ(
      Accept({.entries = {Plain()}, .comment = "PK\5\6 and more than twenty bytes"}).entries.size(),
      1u);
}

TEST(ZipDirectory, NoZip) {
  for (std::string bytes : {std::string(), std::string("PK\3\4"), std::string(100000, 'x')}) {
    UniqueFd fd = ZipFd(bytes);
    EXPECT_FALSE(LooksLikeZip(fd.get()));
    auto directory = ZipDirectory::Read(fd.get(), "t.zip");
    ASSERT_FALSE(directory);
    EXPECT_EQ(directory.error().message(), "'t.zip': not a zip archive");
    EXPECT_EQ(directory.error().kind(), ErrorKind::kInvalidInput);
  }
}

TEST(ZipDirectory, EveryTruncationIsRefused) {
  MadeZip zip = ZipOf(
      {Plain("a.py"), Plain("b.py"), {.name = "c", .data = std::string(300, 'c'), .method = 8}});
  std::string bytes = zip.Bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    UniqueFd fd = ZipFd(bytes.substr(0, size));
    EXPECT_FALSE(ZipDirectory::Read(fd.get(), "t.zip")) << size;
  }
}

constexpr std::string_view kEndMissing =
    "'t.zip': not a zip archive, or bytes are missing or added at its end: no end record's comment "
    "ends with the file";

TEST(ZipDirectory, EndRecord) {
  Refuse({.entries = {Plain()}, .tail = "x"}, kEndMissing);
  Refuse({.entries = {Plain()}, .comment = "abc", .comment_size = 2}, kEndMissing);
  Refuse({.entries = {Plain()}, .comment = "abc", .comment_size = 4}, kEndMissing);
  // A second archive as the comment of the first.
  Refuse({.entries = {Plain()}, .comment = ZipOf({Plain("evil.py")}).Bytes()},
         "'t.zip': ambiguous: has more than one end record");
  Refuse({.entries = {Plain()}, .disk = 1}, "'t.zip': one of several disks of an archive");
  Refuse({.entries = {Plain()}, .zip64 = true, .disk = 1},
         "'t.zip': one of several disks of an archive");
}

TEST(ZipDirectory, CountIsWhatIsThere) {
  MadeZip zip = ZipOf({Plain("a"), Plain("b"), Plain("c")});
  zip.count = 2;
  Refuse(zip, "'t.zip': says it has 2 entries, but its central directory has 47 more bytes");
  zip.count = 4;
  Refuse(zip, "'t.zip': says it has 4 entries, but its central directory has 141 bytes");
  zip.entries[0].comment = std::string(50, 'x');
  Refuse(zip, "'t.zip': says it has 4 entries, but its central directory has 3");
  zip.count = 65535;
  Refuse(zip, "'t.zip': says it has 65535 entries, but its central directory has 191 bytes");
  zip.count = 0;
  Refuse(zip, "'t.zip': says it has 0 entries, but its central directory has 191 more bytes");
  zip.count = std::nullopt;
  zip.entries[1].signature = 0x02014b51;
  Refuse(zip, "'t.zip': says it has 3 entries, but its central directory has 1");
}

TEST(ZipDirectory, DirectoryOutsideOfTheFile) {
  for (std::uint64_t size : {std::uint64_t{0xFFFFFFFF}, std::uint64_t{1000}}) {
    Refuse({.entries = {Plain()}, .directory_size = size},
           "'t.zip': its central directory would lie outside of the file");
    Refuse({.entries = {Plain()}, .directory_offset = size},
           "'t.zip': its central directory would lie outside of the file");
  }
  Refuse({.entries = {Plain()}, .zip64 = true, .directory_size = ~std::uint64_t{0}},
         "'t.zip': its central directory would lie outside of the file");
  Refuse({.entries = {Plain()}, .zip64 = true, .directory_offset = ~std::uint64_t{0}},
         "'t.zip': its central directory would lie outside of the file");
  Refuse(
      {.entries = {Plain()}, .zip64 = true, .count = std::uint64_t{1} << 62},
      "'t.zip': says it has 4611686018427387904 entries, but its central directory has 50 bytes");
}

TEST(ZipDirectory, Stubs) {
  const std::string script = "#!/usr/bin/python3\n", elf = std::string(
                                                               "\x7f"
                                                               "ELF",
                                                               4) +
                                                           std::string(4096, '\0');
  for (const std::string& stub : {script, elf}) {
    for (bool zip64 : {false, true}) {
      ZipDirectory moved = Accept({.entries = {Plain()}, .stub = stub, .zip64 = zip64});
      EXPECT_EQ(moved.base, stub.size());
      EXPECT_EQ(moved.entries.at(0).data_offset, stub.size() + 30 + 4);
      ZipDirectory adjusted =
          Accept({.entries = {Plain()}, .stub = stub, .adjusted = true, .zip64 = zip64});
      EXPECT_EQ(adjusted.base, 0u);
      EXPECT_EQ(adjusted.entries.at(0).data_offset, stub.size() + 30 + 4);
    }
  }
  EXPECT_TRUE(Accept({.stub = script}).entries.empty());
  // Offsets that count it explain what is in front, whatever it is.
  EXPECT_EQ(Accept({.entries = {Plain()}, .stub = "MZ something", .adjusted = true}).entries.size(),
            1u);
  constexpr std::string_view kUnexplained =
      "bytes that are no program in front of the archive, or between its directory and its end "
      "record";
  Refuse({.entries = {Plain()}, .stub = "junk"}, "'t.zip': 4 " + std::string(kUnexplained));
  Refuse({.entries = {Plain()}, .before_end = "gap"}, "'t.zip': 3 " + std::string(kUnexplained));
}

TEST(ZipDirectory, Zip64) {
  EXPECT_EQ(Accept({.entries = {Plain()}, .zip64 = true}).entries.size(), 1u);
  EXPECT_EQ(
      Accept({.entries = {Plain()}, .zip64 = true, .zip64_extensible = "more"}).entries.size(), 1u);
  Refuse({.entries = {Plain()}, .zip64 = true, .zip64_extensible = "more", .locator_offset = 1},
         "'t.zip': the zip64 end record is missing");
  Refuse({.entries = {Plain()}, .stub = "#!x\n", .zip64 = true, .locator_offset = 1},
         "'t.zip': its zip64 locator and its end record contradict each other");
  MadeEntry entry = Plain();
  entry.size = entry.compressed_size = 0xFFFFFFFF;
  Refuse(One(entry), "'t.zip': entry 'a.py': its zip64 field is missing or too short");
  entry.extra = Extra(1, Le64(entry.data.size()));
  Refuse(One(entry), "'t.zip': entry 'a.py': its zip64 field is missing or too short");
  entry.extra = Extra(1, Le64(entry.data.size()) + Le64(entry.data.size()));
  Refuse(One(entry), "'t.zip': entry 'a.py': the zip64 field of its local header is missing");
  entry.local_extra = entry.extra;
  EXPECT_EQ(Accept(One(entry)).entries.at(0).size, entry.data.size());
  entry.extra = Extra(1, Le64(~std::uint64_t{0}) + Le64(~std::uint64_t{0}));
  Refuse(One(entry), "'t.zip': entry 'a.py': claims 18446744073709551615 bytes");
  MadeEntry far = Plain();
  far.header_offset = 0xFFFFFFFF;
  far.extra = Extra(1, Le64(~std::uint64_t{0}));
  Refuse(One(far), "'t.zip': entry 'a.py': its data would lie behind the central directory");
}

// --- places ---

TEST(ZipDirectory, EntriesDoNotOverlap) {
  constexpr std::string_view kOverlaps =
      "'t.zip': entry 'a.py': overlaps another entry or the central directory";
  MadeZip zip = ZipOf({Plain("a.py"), Plain("b.py")});
  zip.entries[1].header_offset = 0;  // both the same
  EXPECT_FALSE(Read(zip));
  MadeEntry longer = Plain();
  longer.size = longer.compressed_size = 9;  // one byte into the next
  longer.data = "print()\n";
  Refuse(ZipOf({longer, Plain("b.py")}), kOverlaps);
  Refuse(One(longer), kOverlaps);  // into the directory
  longer.data += "x";
  EXPECT_EQ(Accept(ZipOf({longer, Plain("b.py")})).entries.size(), 2u);
  // Gaps are no harm.
  EXPECT_EQ(Accept({.entries = {Plain()}, .before_directory = std::string(10, 'x')}).entries.size(),
            1u);
  MadeEntry behind = Plain();
  behind.header_offset = 43;  // the directory's position is 42
  Refuse(One(behind), "'t.zip': entry 'a.py': its data would lie behind the central directory");
  behind.header_offset = 42;
  Refuse(One(behind), kOverlaps);
}

// David Fifield's construction: each entry's data is the next one's header, quoted, and the rest.
MadeZip QuotedBomb(unsigned entries, std::size_t kernel) {
  std::string data(kernel, 'a'), packed = Deflate(data);
  MadeZip zip;
  std::vector<std::string> names;
  for (unsigned i = 0; i < entries; ++i) names.push_back("f" + std::to_string(1000 + i));
  // From the last, which holds the kernel, to the first, which quotes all headers.
  std::string bytes = packed, content = data;
  std::vector<MadeEntry> made(entries);
  for (unsigned i = entries; i-- > 0;) {
    made[i].name = names[i];
    made[i].method = 8;
    made[i].crc = Crc32(content);
    made[i].size = static_cast<std::uint32_t>(content.size());
    made[i].compressed_size = static_cast<std::uint32_t>(bytes.size());
    std::string header = std::string("PK\3\4") + Le16(20) + Le16(0) + Le16(8) + Le16(0) +
                         Le16(0x21) + Le32(*made[i].crc) + Le32(bytes.size()) +
                         Le32(content.size()) + Le16(names[i].size()) + Le16(0) + names[i];
    if (i > 0) {
      std::string quote =
          std::string(1, '\0') + Le16(header.size()) + Le16(~header.size() & 0xFFFF);
      bytes = quote + header + bytes;
      content = header + content;
    } else {
      bytes = header + bytes;
    }
  }
  // The whole file is the data of the first entry; the others point into it.
  std::uint64_t offset = 0;
  for (unsigned i = 0; i < entries; ++i) {
    made[i].header_offset = offset;
    offset += 30 + names[i].size() + 5;  // header and quote
    made[i].packed = "";
    made[i].local_name = "";
  }
  zip.entries = std::move(made);
  zip.stub = bytes;
  zip.adjusted = true;
  return zip;
}

TEST(ZipDirectory, QuotedOverlapIsRefusedFast) {
  MadeZip bomb = QuotedBomb(250, 256 << 10);
  std::string bytes = bomb.Bytes();
  UniqueFd fd = ZipFd(bytes);
  auto begin = std::chrono::steady_clock::now();
  auto directory = ZipDirectory::Read(fd.get(), "t.zip");
  auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().message(),
            "'t.zip': entry 'f1000': overlaps another entry or the central directory");
  EXPECT_LT(took, std::chrono::milliseconds(100));
}

TEST(ZipDirectory, ClaimsAreBounded) {
  MadeEntry entry = {.name = "a", .method = 8, .packed = std::string(10, '\0')};
  entry.crc = 1;
  entry.size = 10 * 1032;
  EXPECT_EQ(Accept(One(entry)).content_size, 10320u);
  entry.size = 10 * 1032 + 1;
  Refuse(One(entry),
         "'t.zip': entry 'a': claims to unpack 10 bytes to 10321, more than 1032 times as many");
  entry.packed = "";
  entry.size = 1;
  Refuse(One(entry),
         "'t.zip': entry 'a': claims to unpack 0 bytes to 1, more than 1032 times as many");
  entry.size = 0;
  Refuse(One(entry), "'t.zip': entry 'a': is empty, but its CRC is not 0");
  MadeEntry stored = Plain();
  stored.size = 7;
  Refuse(One(stored), "'t.zip': entry 'a.py': is stored, but its sizes differ: 7 and 8");
}

}  // namespace
}  // namespace haft::testing
