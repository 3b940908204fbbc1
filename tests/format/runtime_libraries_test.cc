#include "haft/format/runtime_libraries.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "haft/base/file_io.h"
#include "haft/base/unique_fd.h"

namespace haft::format {
namespace {

using Libraries = std::vector<std::pair<std::string, std::string>>;

// A program of nothing but headers and one note.
class RuntimeLibrariesTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kNotes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);

  RuntimeLibrariesTest() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_phoff = sizeof header;
    header.e_phnum = 1;
    header.e_phentsize = sizeof segment;
    segment.p_type = PT_NOTE;
    segment.p_offset = kNotes;
  }

  void AddNote(const std::string& owner, const std::string& text) {
    const Elf64_Nhdr note{.n_namesz = static_cast<Elf64_Word>(owner.size() + 1),
                          .n_descsz = static_cast<Elf64_Word>(text.size()),
                          .n_type = 1};
    notes.append(reinterpret_cast<const char*>(&note), sizeof note);
    for (const std::string& part : {owner + '\0', text})
      notes += part + std::string((4 - part.size() % 4) % 4, '\0');
    segment.p_filesz = notes.size();
  }

  Libraries Read() {
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes.append(reinterpret_cast<const char*>(&segment), sizeof segment);
    bytes += notes;
    UniqueFd file(::memfd_create("program", MFD_CLOEXEC));
    EXPECT_TRUE(WriteAll(file.get(), AsBytes(bytes)));
    auto libraries = ReadRuntimeLibraries(file.get(), bytes.size());
    EXPECT_TRUE(libraries);
    return libraries.value_or(Libraries());
  }

  Elf64_Ehdr header = {};
  Elf64_Phdr segment = {};
  std::string notes;
};

TEST_F(RuntimeLibrariesTest, AreFoundAmongOtherNotes) {
  AddNote("GNU", "12345");
  AddNote("haft", "lz4 1.9.4-1;zstd 1.5.4+dfsg2-5;");
  AddNote("stapsdt", "x");
  EXPECT_EQ(Read(), (Libraries{{"lz4", "1.9.4-1"}, {"zstd", "1.5.4+dfsg2-5"}}));
}

TEST_F(RuntimeLibrariesTest, AreNoneWithoutANote) {
  AddNote("GNU", "12345");
  EXPECT_EQ(Read(), Libraries());
  header.e_ident[0] = '#';
  EXPECT_EQ(Read(), Libraries());
}

TEST_F(RuntimeLibrariesTest, LeaveOutWhatATerminalWouldObey) {
  AddNote("haft", "lz4 1\x1b[2J;zs\ntd 2;fmt 9;nothing;x y z;");
  EXPECT_EQ(Read(), (Libraries{{"fmt", "9"}}));
}

TEST_F(RuntimeLibrariesTest, BelieveNoSizes) {
  AddNote("haft", "lz4 1;");
  for (std::uint64_t size : {std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    segment.p_filesz = size;
    EXPECT_EQ(Read(), Libraries());
  }
  segment.p_filesz = notes.size();
  segment.p_offset = ~std::uint64_t{0} - 3;
  EXPECT_EQ(Read(), Libraries());
  segment.p_offset = kNotes;
  header.e_phnum = 0xFFFF;
  EXPECT_EQ(Read(), Libraries());
  header.e_phnum = 2;
  header.e_phoff = ~std::uint64_t{0} - 7;
  EXPECT_EQ(Read(), Libraries());
  header.e_phnum = 1;
  header.e_phoff = sizeof header;
  for (std::size_t field : {0, 4}) {  // name and text
    const std::uint32_t huge = 0xFFFFFFFF;
    std::string right = notes;
    std::memcpy(notes.data() + field, &huge, sizeof huge);
    EXPECT_EQ(Read(), Libraries());
    notes = right;
  }
  EXPECT_EQ(Read(), (Libraries{{"lz4", "1"}}));
}

}  // namespace
}  // namespace haft::format
