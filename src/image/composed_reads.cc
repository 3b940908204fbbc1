// What ImageReader does by its own primitives: finds a path, reads into one buffer.
#include <fmt/format.h>

#include <cstring>

#include "haft/base/text.h"
#include "haft/image/image_reader.h"

namespace haft {

Result<DirectoryEntry> ImageReader::Resolve(std::string_view path) const {
  const Attributes root = TRY(Stat(InodeId::kRoot));
  DirectoryEntry entry{.name = "", .inode = InodeId::kRoot, .attributes = root};
  std::string_view rest = path;
  while (!rest.empty()) {
    std::string_view name = TakeUntil(rest, '/');
    if (name.empty() || name == ".") continue;
    const auto found = TRY_WITHIN(Quoted(path), Lookup(entry.inode, name));
    if (!found) {
      return Failure(Error(ErrorKind::kNotFound,
                           fmt::format("{}: no such file in the image", Quoted(path)), ENOENT));
    }
    entry = *found;
  }
  return entry;
}

Result<std::size_t> ImageReader::Read(InodeId file, std::uint64_t offset,
                                      std::span<std::byte> out) const {
  std::vector<Slice> slices;
  TRY(Read(file, offset, out.size(), slices));
  std::size_t done = 0;
  for (const Slice& slice : slices) {
    std::memcpy(out.data() + done, slice.bytes.data(), slice.bytes.size());
    done += slice.bytes.size();
  }
  return done;
}

}  // namespace haft
