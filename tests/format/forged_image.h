// Images that break the rules on purpose, with digests that hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "haft/format/layout.h"

namespace haft::testing {

// The parts of a bare image, free to be changed. Bytes() puts them together again: counts and
// offsets follow from the parts, then `edit_trailer` may falsify them, then all digests and the
// root are computed.
class ForgedImage {
 public:
  explicit ForgedImage(std::span<const std::byte> image);

  std::vector<format::Inode> inodes;
  std::vector<format::Extent> extents;
  std::vector<format::Block> blocks;
  std::string strings;
  std::string contents;  // the stored bytes of the blocks
  std::string gap;       // between the padding behind the blocks and the index
  std::string manifest;
  std::string profile;
  std::string signatures = std::string(format::kSignatureAreaSize, '\0');
  std::function<void(format::Trailer&)> edit_trailer;

  std::vector<std::byte> Bytes() const;

  // Row of a path like "a/b"; "" is the root. Aborts if there is none.
  std::uint32_t Row(std::string_view path) const;
  format::Inode& At(std::string_view path) { return inodes[Row(path)]; }
  format::Extent& ExtentOf(std::string_view path, std::uint32_t number = 0) {
    return extents[At(path).first + number];
  }
  format::Block& BlockOf(std::string_view path, std::uint32_t number = 0) {
    return blocks[ExtentOf(path).block + number];
  }
  // Adds to the string heap; returns the offset.
  std::uint64_t AddString(std::string_view text);
  void Rename(std::string_view path, std::string_view name);

 private:
  format::Trailer trailer_;
};

// Makes the trailer at the end of `image` the given one, with a root that holds.
void ReplaceTrailer(std::vector<std::byte>& image, format::Trailer trailer);
format::Trailer TrailerOf(std::span<const std::byte> image);

// A program of exactly `size` bytes (at least 192), as far as ELF headers go.
std::vector<std::byte> FakeRuntime(std::size_t size);
// Program, padding, image. The image has to be built for this program (ImageOptions::runtime_size).
std::vector<std::byte> JoinBundle(std::span<const std::byte> runtime,
                                  std::span<const std::byte> image);

}  // namespace haft::testing
