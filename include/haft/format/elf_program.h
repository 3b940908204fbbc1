// The ELF program in front of an image.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace haft::format {

// Bytes of the 64-bit ELF program at the front of a file of `file_size` bytes: to the end of its
// section headers, which the linker puts last, or of its segments if it has none. nullopt: no such
// program. More than file_size: the program itself is cut off.
std::optional<std::uint64_t> ElfProgramSize(int fd, std::uint64_t file_size);

// Of a 64-bit ELF program, what the kernel loads. Its sections are gone, and section headers are
// said to be where no file reaches: strip, objcopy and patchelf (binutils' and LLVM's) then refuse
// the file. They would write the program anew, without the image after it. Any other text is
// returned as it is.
std::string WithoutSections(std::string program);

}  // namespace haft::format
