#include "haft/format/elf_program.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "haft/base/file_io.h"
#include "support/test_tree.h"

namespace haft::format {
namespace {

// A header, one segment of 100 bytes after it, and as many section headers at the end.
std::string Program(unsigned sections) {
  Elf64_Ehdr elf = {};
  std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
  elf.e_ident[EI_CLASS] = ELFCLASS64;
  elf.e_phoff = sizeof elf;
  elf.e_phnum = 1;
  elf.e_phentsize = sizeof(Elf64_Phdr);
  elf.e_shoff = sections == 0 ? 0 : 300;
  elf.e_shnum = static_cast<Elf64_Half>(sections);
  elf.e_shentsize = sizeof(Elf64_Shdr);
  Elf64_Phdr segment = {};
  segment.p_offset = 120;
  segment.p_filesz = 100;
  std::string program(300 + sections * sizeof(Elf64_Shdr), 'p');
  std::memcpy(program.data(), &elf, sizeof elf);
  std::memcpy(program.data() + sizeof elf, &segment, sizeof segment);
  return program;
}

std::optional<std::uint64_t> SizeOf(const std::string& file) {
  return ElfProgramSize(testing::MemoryFile(AsBytes(file)).get(), file.size());
}

TEST(ElfProgramTest, EndsWithItsSectionHeadersElseItsSegments) {
  EXPECT_EQ(SizeOf(Program(3) + "image"), 300 + 3 * sizeof(Elf64_Shdr));
  EXPECT_EQ(SizeOf(Program(0) + "image"), 220u);
  EXPECT_EQ(SizeOf(std::string(500, 'x')), std::nullopt);
  EXPECT_EQ(SizeOf(Program(0).substr(0, 100)), std::nullopt);
  EXPECT_EQ(SizeOf(""), std::nullopt);
}

TEST(ElfProgramTest, LosesSectionsForGood) {
  const std::string bare = WithoutSections(Program(3));
  EXPECT_EQ(bare.size(), 220u);
  EXPECT_EQ(SizeOf(bare + "image"), 220u);
  EXPECT_EQ(WithoutSections(bare), bare);
  EXPECT_EQ(bare.substr(sizeof(Elf64_Ehdr)), Program(3).substr(sizeof(Elf64_Ehdr), 156));
}

TEST(ElfProgramTest, LeavesAloneWhatIsNone) {
  std::string narrow = Program(3), cut = Program(3).substr(0, 200);
  narrow[EI_CLASS] = ELFCLASS32;
  for (const std::string& text : {std::string("#!/bin/sh\n"), std::string(), narrow, cut})
    EXPECT_EQ(WithoutSections(text), text);
}

}  // namespace
}  // namespace haft::format
