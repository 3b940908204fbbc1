#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "zip_records.h"

namespace haft::zip {

// Hands out [position, end) of a file in order, a window at a time.
class WindowReader {
 public:
  WindowReader(int fd, std::uint64_t position, std::uint64_t end)
      : fd_(fd), position_(position), end_(end) {}

  std::uint64_t left() const { return end_ - position_ + window_.size() - begin_; }

  // The next `size` bytes, still unread; they stay valid until the next call. REQUIRES: size <=
  // left().
  Result<Bytes> Peek(std::size_t size) {
    if (window_.size() - begin_ < size) {
      window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
      std::size_t kept = window_.size();
      window_.resize(std::min<std::uint64_t>(std::max(size, kWindow), left()));
      auto added = std::span(window_).subspan(kept);
      TRY(ReadExactly(fd_, added, position_));
      hasher_.Update(added);
      position_ += added.size();
    }
    return Bytes(window_).subspan(begin_, size);
  }
  void Skip(std::size_t size) { begin_ += size; }

  // Of all bytes handed out, once they all are.
  format::Digest Digest() const { return hasher_.Finish(); }

 private:
  static constexpr std::size_t kWindow = 256u << 10;

  const int fd_;
  std::uint64_t position_;  // in the file, of what is not in the window yet
  const std::uint64_t end_;
  std::vector<std::byte> window_;
  std::size_t begin_ = 0;
  format::Sha256 hasher_;
};

}  // namespace haft::zip
