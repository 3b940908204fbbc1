#include "haft/archive/zip_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <utility>

#include "support/expect.h"
#include "zip_maker.h"

namespace haft::testing {
namespace {

Result<ZipDirectory> Read(const MadeZip& zip) {
  UniqueFd fd = ZipFd(zip.Bytes());
  return ZipDirectory::Read(fd.get(), "t.zip");
}

ZipDirectory Accept(const MadeZip& zip) {
  return Expect(Read(zip));
}

void Refuse(const MadeZip& zip, std::string_view message) {
  auto directory = Read(zip);
  ASSERT_FALSE(directory) << "accepted, expected: " << message;
  EXPECT_EQ(directory.error().message(), message);
}

MadeZip One(MadeEntry entry) {
  return ZipOf({std::move(entry)});
}
MadeEntry Plain(std::string name = "a.py") {
  return {.name = std::move(name), .data = "print()\n"};
}

// --- what an entry becomes ---

TEST(ZipDirectory, ReadsEntries) {
  ZipDirectory directory =
      Accept(ZipOf({{.name = "pkg/", .mode = 040755},
                    {.name = "pkg/a.py", .data = "print(1)\n", .method = 8, .mode = 0100751},
                    {.name = "pkg/link", .data = "a.py", .mode = 0120777}}));
  ASSERT_EQ(directory.entries.size(), 3u);
  const ZipEntry& package = directory.entries[0];
  EXPECT_EQ(package.name, "pkg");
  EXPECT_EQ(package.type, ZipEntryType::kDirectory);
  EXPECT_EQ(package.mode, 0755u);
  const ZipEntry& file = directory.entries[1];
  EXPECT_EQ(file.name, "pkg/a.py");
  EXPECT_EQ(file.type, ZipEntryType::kFile);
  EXPECT_EQ(file.method, ZipMethod::kDeflate);
  EXPECT_EQ(file.mode, 0751u);
  EXPECT_EQ(file.size, 9u);
  EXPECT_EQ(file.crc, Crc32("print(1)\n"));
  EXPECT_EQ(file.mtime, 315532800);
  EXPECT_EQ(file.data_offset, 30u + 4 + 30 + 8);
  EXPECT_EQ(directory.entries[2].type, ZipEntryType::kSymlink);
  EXPECT_EQ(directory.content_size, 9u + 4);
  EXPECT_EQ(directory.base, 0u);
}

TEST(ZipDirectory, ModesAreThoseOfTheHighHalf) {
  auto mode_of = [](MadeEntry entry) { return Accept(One(std::move(entry))).entries.at(0).mode; };
  EXPECT_EQ(mode_of({.name = "f", .mode = 0}), 0644u);
  EXPECT_EQ(mode_of({.name = "d/", .mode = 0}), 0755u);
  EXPECT_EQ(mode_of({.name = "f", .mode = 0600}), 0600u);     // ZipFile.writestr
  EXPECT_EQ(mode_of({.name = "f", .mode = 0100000}), 0u);     // somebody wanted that
  EXPECT_EQ(mode_of({.name = "f", .mode = 0104755}), 0755u);  // setuid
  EXPECT_EQ(mode_of({.name = "f", .mode = 0100755, .system = 0}), 0755u);
}

TEST(ZipDirectory, TypesOfOtherKinds) {
  auto type_of = [](MadeEntry entry) { return Accept(One(std::move(entry))).entries.at(0).type; };
  EXPECT_EQ(type_of({.name = "f", .data = "x", .mode = 010644}),
            ZipEntryType::kFile);  // Info-ZIP's "-"
  EXPECT_EQ(type_of({.name = "f", .data = "x", .mode = 0140644}), ZipEntryType::kFile);
  EXPECT_EQ(type_of({.name = "f", .mode = 040755}), ZipEntryType::kFile);  // the name decides
  EXPECT_EQ(type_of({.name = "f/", .mode = 0100755}), ZipEntryType::kDirectory);
  for (std::uint32_t mode : {010644u, 020644u, 060644u, 0140644u, 0170644u}) {
    Refuse(One({.name = "f", .mode = mode}),
           "'t.zip': entry 'f': is neither file, directory nor symbolic link");
  }
  Refuse(One({.name = "f/", .mode = 0120777}),
         "'t.zip': entry 'f/': is a symbolic link by its mode and a directory by its name");
}

TEST(ZipDirectory, Times) {
  auto time_of = [](MadeEntry entry) { return Accept(One(std::move(entry))).entries.at(0).mtime; };
  // 2023-11-05 13:14:16
  const std::uint16_t date = (43 << 9) | (11 << 5) | 5, time = (13 << 11) | (14 << 5) | 8;
  EXPECT_EQ(time_of({.name = "f", .time = time, .date = date}), 1699190056);
  EXPECT_EQ(time_of({.name = "f", .time = time, .date = 0}), 315532800);
  EXPECT_EQ(time_of({.name = "f", .time = 0xFFFF, .date = date}), 315532800);
  EXPECT_EQ(time_of({.name = "f", .extra = Extra(0x5455, "\1" + Le32(1234567890))}), 1234567890);
  EXPECT_EQ(time_of({.name = "f", .extra = Extra(0x5455, "\1" + Le32(0xFFFFFFFF))}), -1);
  EXPECT_EQ(time_of({.name = "f", .extra = Extra(0x5455, "\2" + Le32(1234567890))}), 315532800);
  EXPECT_EQ(time_of({.name = "f", .extra = Extra(0x5455, "\1")}), 315532800);
}

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

// --- entries ---

TEST(ZipDirectory, EncryptionAndMethods) {
  for (unsigned flag : {1u, 1u << 6, 1u << 13}) {
    MadeEntry entry = Plain();
    entry.flags = static_cast<std::uint16_t>(flag);
    Refuse(One(entry), "'t.zip': entry 'a.py': is encrypted");
  }
  MadeEntry local = Plain();
  local.local_flags = 1;
  Refuse(One(local), "'t.zip': entry 'a.py': is encrypted");
  MadeEntry lzma = Plain();
  lzma.method = 14;
  Refuse(One(lzma),
         "'t.zip': entry 'a.py': is packed with method 14; possible are 0 (stored), 8 (deflate) "
         "and 12 (bzip2)");
  MadeEntry version = Plain();
  version.version_needed = 63;
  Accept(One(version));
  version.version_needed = 64;
  Refuse(One(version), "'t.zip': entry 'a.py': needs version 6.4 of the zip format");
  MadeEntry disk = Plain();
  disk.disk = 1;
  Refuse(One(disk), "'t.zip': entry 'a.py': is on another disk of the archive");
}

TEST(ZipDirectory, Names) {
  using namespace std::string_literals;
  auto refuse = [](const std::string& name, const std::string& shown, std::string_view why) {
    Refuse(One(Plain(name)), "'t.zip': entry '" + shown + "': " + std::string(why));
  };
  refuse("", "", "has an empty name");
  refuse("/", "/", "has an empty name");
  refuse("/etc/passwd", "/etc/passwd", "has an absolute path");
  refuse("../a", "../a", "has '..' in its path");
  refuse("a/../b", "a/../b", "has '..' in its path");
  refuse("a/..", "a/..", "has '..' in its path");
  refuse("./a", "./a", "has '.' in its path");
  refuse("a//b", "a//b", "has an empty component in its path");
  refuse("a//", "a//", "has an empty component in its path");
  refuse("a\0b"s, "a\\x00b", "has a zero byte in its name");
  for (std::string name : {"..."s, "a..b"s, "..a/b"s, "a\\b"s, "C:\\x"s, "\xff\xfe"s, "a\nb"s,
                           std::string(255, 'n')}) {
    EXPECT_EQ(Accept(One(Plain(name))).entries.at(0).name, name);
  }
  std::string shown(200, 'n');
  Refuse(One(Plain(std::string(256, 'n'))),
         "'t.zip': entry '" + shown + "'...: has a name longer than 255 bytes");
  std::string longest;
  while (longest.size() < 4095) longest += "d/";
  longest.resize(4094);
  longest += "x";
  EXPECT_EQ(Accept(One(Plain(longest))).entries.at(0).name.size(), 4095u);
  longest += "y";
  EXPECT_FALSE(Read(One(Plain(longest))));
  // A new line in a name does not break the message's.
  MadeEntry line = Plain("a\n\x1b[31m");
  line.flags = 1;
  Refuse(One(line), "'t.zip': entry 'a\\x0a\\x1b[31m': is encrypted");
}

TEST(ZipDirectory, Utf8Names) {
  MadeEntry entry = Plain("gr\xc3\xbc\xc3\x9f.py");
  entry.flags = 1 << 11;
  EXPECT_EQ(Accept(One(entry)).entries.at(0).name, "gr\xc3\xbc\xc3\x9f.py");
  for (std::string name : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82",
                           "\xf0\x80\x80\x80", "\x80"}) {
    entry.name = name;
    auto directory = Read(One(entry));
    ASSERT_FALSE(directory);
    EXPECT_TRUE(directory.error().message().ends_with("its name is not UTF-8, as it says"));
  }
}

TEST(ZipDirectory, NamesOnce) {
  Refuse(ZipOf({Plain("a"), Plain("b"), Plain("a")}), "'t.zip': entry 'a': is there twice");
  Refuse(ZipOf({Plain("a"), {.name = "a/"}}), "'t.zip': entry 'a': is both a file and a directory");
  Refuse(ZipOf({{.name = "d/"}, {.name = "d/"}}), "'t.zip': entry 'd': is there twice");
  Refuse(ZipOf({Plain("a"), Plain("a.b"), Plain("a/b")}),
         "'t.zip': entry 'a': is both a file and a directory");
  Refuse(ZipOf({Plain("x/y/z"), Plain("x/y")}),
         "'t.zip': entry 'x/y': is both a file and a directory");
  Refuse(ZipOf({{.name = "l", .data = "/tmp", .mode = 0120777}, Plain("l/evil")}),
         "'t.zip': entry 'l': is both a file and a directory");
  // Neighbours in other orders.
  EXPECT_EQ(Accept(ZipOf({Plain("a.b"),
                          Plain("a/b"),
                          {.name = "a/"},
                          Plain("a!"),
                          Plain("A"),
                          Plain("a\xff")}))
                .entries.size(),
            6u);
}

TEST(ZipDirectory, DirectoriesAndLinks) {
  Refuse(One({.name = "d/", .data = "x"}), "'t.zip': entry 'd': is a directory with data");
  Accept(One({.name = "d/", .method = 8, .packed = std::string("\3\0", 2)}));  // Java
  Refuse(One({.name = "d/", .method = 8, .packed = std::string(3, '\0')}),
         "'t.zip': entry 'd': is a directory with data");
  auto link = [](std::size_t size) {
    return One({.name = "l", .data = std::string(size, 't'), .mode = 0120777});
  };
  Accept(link(1));
  Accept(link(4095));
  Refuse(link(0), "'t.zip': entry 'l': the link's target has 0 bytes, possible are 1 to 4095");
  Refuse(link(4096),
         "'t.zip': entry 'l': the link's target has 4096 bytes, possible are 1 to 4095");
}

TEST(ZipDirectory, LocalHeaderAgrees) {
  constexpr std::string_view kSizes =
      "'t.zip': entry 'a.py': sizes or CRC in its local header contradict the central directory";
  constexpr std::string_view kOther =
      "'t.zip': entry 'a.py': its local header contradicts the central directory";
  constexpr std::string_view kName = "'t.zip': entry 'a.py': its local header has another name";
  auto with = [](auto change) {
    MadeEntry entry = Plain();
    change(entry);
    return One(entry);
  };
  Refuse(with([](MadeEntry& e) { e.local_name = "b.py"; }), kName);
  Refuse(with([](MadeEntry& e) { e.local_name = ""; }), kName);
  Refuse(with([](MadeEntry& e) { e.local_name = std::string(300, 'x'); }), kName);
  Refuse(with([](MadeEntry& e) { e.local_crc = 1; }), kSizes);
  Refuse(with([](MadeEntry& e) { e.local_crc = 0; }), kSizes);
  Refuse(with([](MadeEntry& e) { e.local_size = 7; }), kSizes);
  Refuse(with([](MadeEntry& e) { e.local_method = 8; }), kOther);
  Refuse(with([](MadeEntry& e) { e.local_date = 0x22; }), kOther);
  Refuse(with([](MadeEntry& e) {
           e.local_extra = Extra(0x7075, "\1" + Le32(Crc32("a.py")) + "evil.py");
         }),
         kOther);
  Refuse(with([](MadeEntry& e) { e.header_offset = 1; }),
         "'t.zip': entry 'a.py': its local header is missing");
  Refuse(with([](MadeEntry& e) { e.extra = Extra(0x5455, "x").substr(0, 4); }),
         "'t.zip': entry 'a.py': its extra fields are damaged");
  Refuse(with([](MadeEntry& e) { e.local_extra = Extra(0x5455, "x").substr(0, 4); }),
         "'t.zip': entry 'a.py': the extra fields of its local header are damaged");
  Accept(with([](MadeEntry& e) { e.local_extra = std::string(3, '\0'); }));  // zipalign
  Accept(with([](MadeEntry& e) { e.local_extra = Extra(0xd935, std::string(3000, '\0')); }));
}

TEST(ZipDirectory, DataDescriptors) {
  using Descriptor = MadeEntry::Descriptor;
  for (auto descriptor : {Descriptor::kNone, Descriptor::kWithSignature,
                          Descriptor::kWithoutSignature, Descriptor::kWide, Descriptor::kWrong}) {
    MadeEntry entry = {.name = "a",
                       .data = std::string(1000, 'x'),
                       .method = 8,
                       .flags = 8,
                       .descriptor = descriptor};
    MadeEntry other = {.name = "b", .data = "y", .flags = 8, .descriptor = descriptor};
    EXPECT_EQ(Accept(ZipOf({entry, other})).entries.size(), 2u);
  }
  // Only with the flag may the local header leave sizes out.
  MadeEntry entry = {.name = "a", .data = "x", .flags = 8, .local_flags = 0};
  Refuse(One(entry),
         "'t.zip': entry 'a': sizes or CRC in its local header contradict the central directory");
  entry.local_flags = 8;
  entry.local_crc = 77;
  Refuse(One(entry),
         "'t.zip': entry 'a': sizes or CRC in its local header contradict the central directory");
}

}  // namespace
}  // namespace haft::testing
