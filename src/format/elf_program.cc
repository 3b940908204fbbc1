#include "haft/format/elf_program.h"

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <span>

#include "haft/base/file_io.h"
#include "haft/format/limits.h"

namespace haft::format {
namespace {

constexpr std::uint64_t kNoSections = std::uint64_t{1} << 62;

// Reads `bytes` at `offset`; whether they are there.
using Reader = std::function<bool(std::span<std::byte> bytes, std::uint64_t offset)>;

template <typename Record>
std::optional<Record> ReadRecord(const Reader& read, std::uint64_t offset) {
  Record record;
  if (!read(std::as_writable_bytes(std::span(&record, 1)), offset)) return std::nullopt;
  return record;
}

std::optional<Elf64_Ehdr> ReadHeader(const Reader& read) {
  const auto elf = ReadRecord<Elf64_Ehdr>(read, 0);
  if (!elf || std::memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
      elf->e_ident[EI_CLASS] != ELFCLASS64)
    return std::nullopt;
  return elf;
}

// Where the last segment ends; 0 if there is none.
std::uint64_t EndOfSegments(const Reader& read, const Elf64_Ehdr& elf) {
  std::uint64_t end = 0;
  if (elf.e_phentsize != sizeof(Elf64_Phdr) || elf.e_phoff > kMaxFileSize) return 0;
  for (std::uint64_t i = 0; i < elf.e_phnum; ++i) {
    const auto segment = ReadRecord<Elf64_Phdr>(read, elf.e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment || segment->p_offset > kMaxFileSize || segment->p_filesz > kMaxFileSize) return 0;
    end = std::max(end, segment->p_offset + segment->p_filesz);
  }
  return end;
}

}  // namespace

std::optional<std::uint64_t> ElfProgramSize(int fd, std::uint64_t file_size) {
  if (file_size < sizeof(Elf64_Ehdr)) return std::nullopt;
  const Reader read = [fd](std::span<std::byte> bytes, std::uint64_t offset) {
    return ReadExactly(fd, bytes, offset).has_value();
  };
  const auto elf = ReadHeader(read);
  if (!elf) return std::nullopt;
  if (elf->e_shnum == 0) {
    const std::uint64_t end = EndOfSegments(read, *elf);
    return end == 0 ? std::nullopt : std::optional(end);
  }
  if (elf->e_shoff == 0 || elf->e_shoff > kMaxFileSize) return std::nullopt;
  return elf->e_shoff + std::uint64_t{elf->e_shnum} * elf->e_shentsize;
}

std::string WithoutSections(std::string program) {
  const Reader read = [&](std::span<std::byte> bytes, std::uint64_t offset) {
    if (offset > program.size() || program.size() - offset < bytes.size()) return false;
    std::memcpy(bytes.data(), program.data() + offset, bytes.size());
    return true;
  };
  auto elf = ReadHeader(read);
  const std::uint64_t end = elf ? EndOfSegments(read, *elf) : 0;
  if (end < sizeof(Elf64_Ehdr) || end > program.size()) return program;
  elf->e_shoff = kNoSections;
  elf->e_shnum = 0;
  elf->e_shstrndx = SHN_UNDEF;
  program.resize(end);
  std::memcpy(program.data(), &*elf, sizeof *elf);
  return program;
}

}  // namespace haft::format
