#include "haft/stack/elf_file.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "haft/base/file_io.h"
#include "haft/base/text.h"

namespace haft {
namespace {

// Real files have a dozen program headers and some dozens of dynamic entries; the limits are for
// hostile ones.
constexpr std::size_t kMaxHeaders = 1024;
constexpr std::size_t kMaxDynamicEntries = 65536;
constexpr std::size_t kMaxStringSize = 16384;  // a search path is one string
constexpr std::size_t kMaxNeeded = 4096;

Error Damaged(const FileSource& source, std::string_view why) {
  return Error::Corrupt(fmt::format("{}: damaged ELF file: {}", Quoted(source.origin()), why));
}

std::vector<std::string> SplitPath(std::string_view text) {
  std::vector<std::string> parts;
  for (std::string_view part : Split(text, ':')) {
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

class ElfReader {
 public:
  ElfReader(const FileSource& source, const FileReader& file, std::uint64_t size)
      : source_(source), file_(file), size_(size) {}

  Result<std::optional<ElfFile>> Read() {
    Elf64_Ehdr header;
    if (size_ < sizeof header) return std::nullopt;
    TRY(ReadAt(0, std::as_writable_bytes(std::span(&header, 1))));
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN)) {
      return std::nullopt;
    }
    elf_.machine = header.e_machine;
    TRY(ReadProgramHeaders(header));
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_INTERP) TRY(ReadInterpreter(segment));
      if (segment.p_type == PT_DYNAMIC) TRY(ReadDynamic(segment));
    }
    return std::move(elf_);
  }

 private:
  Result<> ReadAt(std::uint64_t offset, std::span<std::byte> out) {
    if (!FitsWithin(offset, out.size(), size_)) return Failure(Damaged(source_, "it ends early"));
    return file_.Read(offset, out);
  }

  Result<> ReadProgramHeaders(const Elf64_Ehdr& header) {
    if (header.e_phnum == 0) return {};
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMaxHeaders) {
      return Failure(Damaged(source_, "odd program headers"));
    }
    segments_.resize(header.e_phnum);
    return ReadAt(header.e_phoff, std::as_writable_bytes(std::span(segments_)));
  }

  Result<> ReadInterpreter(const Elf64_Phdr& segment) {
    if (segment.p_filesz == 0 || segment.p_filesz > kMaxStringSize) {
      return Failure(Damaged(source_, "odd name of the loader"));
    }
    std::string name(segment.p_filesz, '\0');
    TRY(ReadAt(segment.p_offset, std::as_writable_bytes(std::span(name))));
    elf_.interpreter = name.c_str();  // up to the zero
    return {};
  }

  Result<> ReadDynamic(const Elf64_Phdr& segment) {
    elf_.dynamic = true;
    std::size_t count = segment.p_filesz / sizeof(Elf64_Dyn);
    if (count > kMaxDynamicEntries) return Failure(Damaged(source_, "odd dynamic section"));
    std::vector<Elf64_Dyn> entries(count);
    TRY(ReadAt(segment.p_offset, std::as_writable_bytes(std::span(entries))));
    auto end = std::ranges::find(entries, DT_NULL, &Elf64_Dyn::d_tag);
    entries.erase(end, entries.end());
    for (const Elf64_Dyn& entry : entries) {
      if (entry.d_tag == DT_STRTAB) strings_address_ = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRSZ) strings_size_ = entry.d_un.d_val;
    }
    for (const Elf64_Dyn& entry : entries) {
      switch (entry.d_tag) {
        case DT_NEEDED:
          if (elf_.needed.size() == kMaxNeeded)
            return Failure(Damaged(source_, "it needs too many libraries"));
          elf_.needed.push_back(TRY(String(entry.d_un.d_val)));
          break;
        case DT_SONAME:
          elf_.soname = TRY(String(entry.d_un.d_val));
          break;
        case DT_RPATH:
          elf_.rpath = SplitPath(TRY(String(entry.d_un.d_val)));
          break;
        case DT_RUNPATH:
          elf_.runpath = SplitPath(TRY(String(entry.d_un.d_val)));
          break;
        default:
          break;
      }
    }
    return {};
  }

  // The zero-terminated string at `index` of the string table, which is known by its address in
  // memory.
  Result<std::string> String(std::uint64_t index) {
    auto segment = std::ranges::find_if(segments_, [&](const Elf64_Phdr& load) {
      return load.p_type == PT_LOAD && strings_address_ >= load.p_vaddr &&
             FitsWithin(strings_address_ - load.p_vaddr, strings_size_, load.p_filesz);
    });
    if (segment == segments_.end() || index >= strings_size_) {
      return Failure(Damaged(source_, "a name outside of its string table"));
    }
    std::uint64_t table = segment->p_offset + (strings_address_ - segment->p_vaddr);
    if (table < segment->p_offset || !FitsWithin(table, strings_size_, size_)) {
      return Failure(Damaged(source_, "its string table lies outside of it"));
    }
    std::string text(std::min<std::uint64_t>(strings_size_ - index, kMaxStringSize), '\0');
    TRY(ReadAt(table + index, std::as_writable_bytes(std::span(text))));
    std::size_t end = text.find('\0');
    if (end == text.npos) return Failure(Damaged(source_, "a name without end"));
    text.resize(end);
    return text;
  }

  const FileSource& source_;
  const FileReader& file_;
  const std::uint64_t size_;
  ElfFile elf_;
  std::vector<Elf64_Phdr> segments_;
  std::uint64_t strings_address_ = 0;
  std::uint64_t strings_size_ = 0;
};

}  // namespace

Result<std::optional<ElfFile>> ReadElf(const FileSource& source, std::uint64_t size) {
  if (size < sizeof(Elf64_Ehdr)) return std::nullopt;
  FileReader file = TRY(FileReader::Open(source, size));
  return ElfReader(source, file, size).Read();
}

}  // namespace haft
