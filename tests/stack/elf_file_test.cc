#include "haft/stack/elf_file.h"

#include <elf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "haft/stack/host_libraries.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;

// A small library: header, two program headers (load, dynamic), an interpreter, dynamic entries,
// strings.
struct TestElf {
  Elf64_Ehdr header = {};
  Elf64_Phdr load = {}, dynamic = {}, interpreter = {};
  std::vector<Elf64_Dyn> entries;
  std::string strings = std::string("\0libone.so.1\0libtwo.so\0/opt/a:$ORIGIN/../b\0", 43);

  static constexpr std::uint64_t kAddress = 0x10000;  // of the file's first byte in memory
  static constexpr std::size_t kHeaders = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);
  static constexpr std::string_view kLoader = "/lib64/ld.so";

  TestElf() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof load;
    header.e_phnum = 3;
    load.p_type = PT_LOAD;
    load.p_vaddr = kAddress;
    dynamic.p_type = PT_DYNAMIC;
    interpreter.p_type = PT_INTERP;
    interpreter.p_offset = kHeaders;
    interpreter.p_filesz = kLoader.size() + 1;
    Add(DT_NEEDED, 1);
    Add(DT_NEEDED, 13);
    Add(DT_RUNPATH, 23);
  }

  void Add(Elf64_Sxword tag, std::uint64_t value) {
    entries.push_back({.d_tag = tag, .d_un = {.d_val = value}});
  }

  std::string Bytes() {
    std::size_t at = kHeaders + kLoader.size() + 1;
    if (dynamic.p_offset == 0) dynamic.p_offset = at;
    std::vector<Elf64_Dyn> all = entries;
    std::uint64_t table = at + (all.size() + 3) * sizeof(Elf64_Dyn);
    all.push_back({.d_tag = DT_STRTAB, .d_un = {.d_ptr = kAddress + table + strings_shift}});
    all.push_back(
        {.d_tag = DT_STRSZ, .d_un = {.d_val = strings_size != 0 ? strings_size : strings.size()}});
    all.push_back({.d_tag = DT_NULL, .d_un = {}});
    if (dynamic.p_filesz == 0) dynamic.p_filesz = all.size() * sizeof(Elf64_Dyn);
    if (load.p_filesz == 0) load.p_filesz = table + strings.size();
    std::string bytes;
    auto append = [&](const auto& value) {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    append(header);
    append(load);
    append(dynamic);
    append(interpreter);
    bytes.append(kLoader).push_back('\0');
    for (const Elf64_Dyn& entry : all) append(entry);
    return bytes + strings;
  }

  std::uint64_t strings_shift = 0, strings_size = 0;
};

Result<std::optional<ElfFile>> Read(const std::string& bytes) {
  return ReadElf(FileSource::InMemory(bytes, "x.so"), bytes.size());
}

TEST(ElfFileTest, ReadsWhatTheLoaderReads) {
  ElfFile elf = Expect(Read(TestElf().Bytes())).value();
  EXPECT_EQ(elf.machine, EM_X86_64);
  EXPECT_TRUE(elf.dynamic);
  EXPECT_EQ(elf.interpreter, "/lib64/ld.so");
  EXPECT_EQ(elf.needed, (std::vector<std::string>{"libone.so.1", "libtwo.so"}));
  EXPECT_EQ(elf.search_path(), (std::vector<std::string>{"/opt/a", "$ORIGIN/../b"}));
}

TEST(ElfFileTest, ReadsTheInterpreterOfThisHost) {
  HostFile file = OpenHostFile("/usr/bin/python3").value();
  ElfFile elf = Expect(ReadElf(file.source, file.size)).value();
  EXPECT_NE(elf.interpreter, "");
  EXPECT_NE(std::ranges::find(elf.needed, "libc.so.6"), elf.needed.end());
}

TEST(ElfFileTest, OtherFilesAreNone) {
  for (std::string bytes : {std::string(), std::string("#!/bin/sh\n"), std::string(200, '\0'),
                            std::string("\x7f"
                                        "ELF")}) {
    EXPECT_FALSE(Expect(Read(bytes)).has_value());
  }
  TestElf small;  // of 32 bit
  small.header.e_ident[EI_CLASS] = ELFCLASS32;
  EXPECT_FALSE(Expect(Read(small.Bytes())).has_value());
}

TEST(ElfFileTest, HeadersThatPointOutsideAreDamage) {
  auto message = [](auto change) {
    TestElf elf;
    change(elf);
    return Message(Read(elf.Bytes()));
  };
  const std::string start = "'x.so': damaged ELF file: ";
  EXPECT_EQ(message([](TestElf& e) { e.header.e_phoff = 1 << 20; }), start + "it ends early");
  EXPECT_EQ(message([](TestElf& e) { e.header.e_phoff = ~0ull - 10; }), start + "it ends early");
  EXPECT_EQ(message([](TestElf& e) { e.header.e_phnum = 60000; }), start + "odd program headers");
  EXPECT_EQ(message([](TestElf& e) { e.header.e_phentsize = 8; }), start + "odd program headers");
  EXPECT_EQ(message([](TestElf& e) { e.dynamic.p_offset = ~0ull; }), start + "it ends early");
  EXPECT_EQ(message([](TestElf& e) { e.dynamic.p_filesz = 1ull << 60; }),
            start + "odd dynamic section");
  EXPECT_EQ(message([](TestElf& e) { e.interpreter.p_filesz = 1ull << 40; }),
            start + "odd name of the loader");
  EXPECT_EQ(message([](TestElf& e) { e.interpreter.p_offset = 1ull << 40; }),
            start + "it ends early");
  EXPECT_EQ(message([](TestElf& e) { e.Add(DT_NEEDED, 1000); }),
            start + "a name outside of its string table");
  EXPECT_EQ(message([](TestElf& e) { e.strings_size = ~0ull; }),
            start + "a name outside of its string table");
  EXPECT_EQ(message([](TestElf& e) { e.strings_shift = 1ull << 40; }),
            start + "a name outside of its string table");
  EXPECT_EQ(message([](TestElf& e) {
              e.load.p_filesz = 1ull << 40;
              e.strings_size = 1ull << 30;
            }),
            start + "its string table lies outside of it");
  EXPECT_EQ(message([](TestElf& e) { e.load.p_offset = ~0ull - 5; }),
            start + "its string table lies outside of it");
  EXPECT_EQ(message([](TestElf& e) { e.strings.pop_back(); }), start + "a name without end");
}

TEST(ElfFileTest, AnyBytesAreAnswered) {
  const std::string good = TestElf().Bytes();
  for (std::size_t size = 0; size < good.size(); ++size)
    static_cast<void>(Read(good.substr(0, size)).has_value());
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    auto elf = Read(bytes);
    EXPECT_TRUE(!elf || !*elf || (*elf)->needed.size() <= 4096u);
  }
}

TEST(HostLibrariesTest, ExpandsOrigin) {
  EXPECT_EQ(ExpandOrigin("$ORIGIN/../lib", "/a/b"), "/a/b/../lib");
  EXPECT_EQ(ExpandOrigin("${ORIGIN}", "/a"), "/a");
  EXPECT_EQ(ExpandOrigin("/x/$LIB", "/a"), "");
}

TEST(HostLibrariesTest, SearchesRunpathThenCacheThenDefaults) {
  testing::TempDir dir;
  HostFile library =
      OpenHostFile("/usr/bin/python3").value();  // any file of this machine's kind will do
  const std::string bytes = Expect(ReadSource(library.source, library.size));
  for (const char* path : {"own/libx.so", "cached/libx.so", "cached/liby.so"})
    testing::WriteTestFile(dir / path, bytes);
  testing::WriteTestFile(dir / "own/liby.so", "not ELF");
  HostLibraries libraries(
      fmt::format("2 libs found in cache\n\tlibx.so (libc6,x86-64) => {0}/cached/libx.so\n"
                  "\tliby.so (libc6,x86-64, hwcap: \"v3\") => {0}/own/libx.so\n"
                  "\tliby.so (libc6,x86-64) => {0}/cached/liby.so\n\tbroken\n",
                  dir.path()));
  ElfFile user{.machine = Expect(ReadElf(library.source, library.size))->machine,
               .runpath = {"$ORIGIN/own"}};
  EXPECT_EQ(libraries.Find("libx.so", user, dir.path()), dir / "own/libx.so");
  EXPECT_EQ(libraries.Find("liby.so", user, dir.path()), dir / "cached/liby.so");
  EXPECT_EQ(libraries.Find("libx.so", user, "/nonexistent"), dir / "cached/libx.so");
  EXPECT_EQ(libraries.Find("libnone.so.9", user, dir.path()), std::nullopt);
  EXPECT_EQ(libraries.Find("../libx.so", user, dir.path()), std::nullopt);
  EXPECT_TRUE(HostLibraries("").Find("libc.so.6", user, "/").has_value());
  user.machine = EM_ARM;
  EXPECT_EQ(libraries.Find("libx.so", user, dir.path()), std::nullopt);
}

}  // namespace
}  // namespace haft
