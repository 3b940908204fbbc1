// Whole-transfer reads and writes on descriptors; EINTR and short transfers are dealt with here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// True if [offset, offset + length) lies inside [0, size). Cannot overflow.
constexpr bool FitsWithin(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

// Opens with O_CLOEXEC; the error names the path.
Result<UniqueFd> OpenFile(const std::string& path, int flags, unsigned mode = 0);

// Size in bytes of what `fd` refers to.
Result<std::uint64_t> FileSize(int fd);

// Reads until `out` is full or the file ends; returns the bytes read.
Result<std::size_t> ReadUpTo(int fd, std::span<std::byte> out, std::uint64_t offset);
// As ReadUpTo, but a file that ends early is kCorrupt ("has N bytes ...").
Result<> ReadExactly(int fd, std::span<std::byte> out, std::uint64_t offset);
Result<> WriteAll(int fd, std::span<const std::byte> data);
Result<> WriteAllAt(int fd, std::span<const std::byte> data, std::uint64_t offset);

// The whole of a small file (configuration, scripts). Refuses more than `limit` bytes.
Result<std::string> ReadWholeFile(const std::string& path, std::size_t limit = 64u << 20);

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace haft
