#include "haft/format/runtime_libraries.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "haft/base/file_io.h"
#include "haft/base/text.h"

namespace haft::format {
namespace {

using Libraries = std::vector<std::pair<std::string, std::string>>;

constexpr std::uint64_t kMostSegments = 64;
constexpr std::uint64_t kMostNotes = 64u << 10;

bool IsPlain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
}

Libraries Parse(std::string_view text) {
  Libraries libraries;
  for (std::string_view part : Split(text, ';')) {
    const auto [name, version] = SplitOnce(part, ' ');
    if (IsPlain(name) && IsPlain(version)) libraries.emplace_back(name, version);
  }
  return libraries;
}

Libraries FindIn(std::string_view notes) {
  const LibrariesNote<4> wanted;
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr header;
    std::memcpy(&header, notes.data(), sizeof header);
    notes.remove_prefix(sizeof header);
    const std::uint64_t name = (std::uint64_t{header.n_namesz} + 3) / 4 * 4,
                        text = (std::uint64_t{header.n_descsz} + 3) / 4 * 4;
    if (name + text > notes.size()) break;
    if (header.n_type == wanted.type && header.n_namesz == wanted.name_size &&
        std::memcmp(notes.data(), wanted.name, wanted.name_size) == 0)
      return Parse(notes.substr(name, header.n_descsz));
    notes.remove_prefix(name + text);
  }
  return {};
}

}  // namespace

Result<Libraries> ReadRuntimeLibraries(int fd, std::uint64_t runtime_size) {
  Elf64_Ehdr header = {};
  if (runtime_size < sizeof header) return Libraries();
  TRY(ReadExactly(fd, std::as_writable_bytes(std::span(&header, 1)), 0));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phnum > kMostSegments ||
      header.e_phentsize != sizeof(Elf64_Phdr))
    return Libraries();
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  const std::span bytes = std::as_writable_bytes(std::span(segments));
  if (!FitsWithin(header.e_phoff, bytes.size(), runtime_size)) return Libraries();
  TRY(ReadExactly(fd, bytes, header.e_phoff));
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMostNotes ||
        !FitsWithin(segment.p_offset, segment.p_filesz, runtime_size))
      continue;
    std::string notes(segment.p_filesz, '\0');
    TRY(ReadExactly(fd, std::as_writable_bytes(std::span(notes)), segment.p_offset));
    if (Libraries found = FindIn(notes); !found.empty()) return found;
  }
  return Libraries();
}

}  // namespace haft::format
