#include "haft/writer/byte_sink.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>

#include "haft/base/file_io.h"

namespace haft {

Result<> PadTo(ByteSink& sink, std::uint64_t start, std::uint32_t unit) {
  static constexpr std::array<std::byte, 4096> kZeros = {};
  assert(std::has_single_bit(unit) && unit <= kZeros.size());
  std::uint64_t surplus = (sink.size() - start) & (unit - 1);
  return surplus == 0 ? Result<>() : sink.Append(std::span(kZeros).first(unit - surplus));
}

Result<> FileSink::Append(std::span<const std::byte> data) {
  auto written = WriteAllAt(fd_, data, size_);
  if (!written) {
    return Failure(Error::FromErrno("write " + Quoted(name_), written.error().sys_errno()));
  }
  size_ += data.size();
  return {};
}

Result<> FileSink::Patch(std::uint64_t offset, std::span<const std::byte> data) {
  assert(FitsWithin(offset, data.size(), size_));
  auto written = WriteAllAt(fd_, data, offset);
  if (written) return {};
  return Failure(Error::FromErrno("write " + Quoted(name_), written.error().sys_errno()));
}

Result<> MemorySink::Append(std::span<const std::byte> data) {
  bytes_.insert(bytes_.end(), data.begin(), data.end());
  return {};
}

Result<> MemorySink::Patch(std::uint64_t offset, std::span<const std::byte> data) {
  assert(FitsWithin(offset, data.size(), bytes_.size()));
  std::copy(data.begin(), data.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
  return {};
}

}  // namespace haft
