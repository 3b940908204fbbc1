#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "haft/base/error.h"

namespace haft {

// A read-only mapping of part of a file that cannot kill the process: if the file shrinks or the
// disk fails, the touched page reads as zeros and damaged() turns true for good. Whoever reads must
// check damaged() *after* using the bytes and discard them then. What the kernel does not report:
// the page in which a shorter file now ends reads as zeros behind that end. Movable; the bytes keep
// their address. Thread-safe. The first Map() installs a SIGBUS handler for the process; faults
// outside of every MappedFile keep their previous disposition. At most 16 mappings at a time.
class MappedFile {
 public:
  // Maps [offset, offset + length); offset must be a multiple of 4096, the range inside the file.
  static Result<MappedFile> Map(int fd, std::uint64_t offset, std::size_t length);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, length_}; }
  bool damaged() const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  std::size_t length_ = 0;
  int slot_ = -1;
};

}  // namespace haft
