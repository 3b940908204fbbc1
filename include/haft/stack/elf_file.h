#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/tree/file_source.h"

namespace haft {

// What an ELF program or shared library says about the files it needs. Of the headers only those
// are read that the dynamic loader reads: no section table, which may have been stripped.
struct ElfFile {
  std::uint16_t machine = 0;  // e_machine: 62 is x86-64
  bool dynamic = false;       // has a dynamic section
  std::string interpreter;    // path of its loader; empty for libraries and static programs
  std::string soname;
  std::vector<std::string> needed;  // in order
  // Search directories as written: may be empty, relative, or hold $ORIGIN. A runpath makes the
  // loader ignore the rpath.
  std::vector<std::string> rpath, runpath;

  const std::vector<std::string>& search_path() const { return runpath.empty() ? rpath : runpath; }
};

// nullopt: not an ELF file, or not one of 64 bit and little-endian (haft does not bundle others).
// An ELF file whose headers point outside of it, or make no sense, is kCorrupt. Memory and time are
// bounded whatever the bytes.
Result<std::optional<ElfFile>> ReadElf(const FileSource& source, std::uint64_t size);

}  // namespace haft
