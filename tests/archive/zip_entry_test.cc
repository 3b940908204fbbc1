// The entries of a zip's directory: what they become, and which are refused.
#include <gtest/gtest.h>

#include "zip_reading.h"

namespace haft::testing {
namespace {

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
