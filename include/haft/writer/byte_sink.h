// Where an image is written to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// Bytes that grow at the end; what is written can be changed. Not thread-safe.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Result<> Append(std::span<const std::byte> data) = 0;
  // REQUIRES: [offset, offset + data.size()) has been appended.
  virtual Result<> Patch(std::uint64_t offset, std::span<const std::byte> data) = 0;
  virtual std::uint64_t size() const = 0;
};

// Zeros up to a multiple of `unit` (a power of two, at most 4096) bytes behind `start`.
Result<> PadTo(ByteSink& sink, std::uint64_t start, std::uint32_t unit);

// Writes to a file that is empty at first. The descriptor stays the caller's and has to outlive the
// sink. Errors read "write 'NAME': WHY".
class FileSink : public ByteSink {
 public:
  FileSink(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  Result<> Append(std::span<const std::byte> data) override;
  Result<> Patch(std::uint64_t offset, std::span<const std::byte> data) override;
  std::uint64_t size() const override { return size_; }

 private:
  int fd_;
  std::string name_;
  std::uint64_t size_ = 0;
};

class MemorySink : public ByteSink {
 public:
  Result<> Append(std::span<const std::byte> data) override;
  Result<> Patch(std::uint64_t offset, std::span<const std::byte> data) override;
  std::uint64_t size() const override { return bytes_.size(); }
  std::vector<std::byte> Take() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace haft
