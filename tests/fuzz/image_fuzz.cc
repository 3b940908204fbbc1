// libFuzzer target: an image of any bytes is opened, walked, looked up in, read and verified.
// Digests are not checked in this build, so that changes get past them.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/format/bundle_file.h"
#include "haft/image/image_reader.h"
#include "haft/image/verify.h"

#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#error "nothing gets past the digests in this build"
#endif

namespace haft {
namespace {

// Bounds of the work for one input, so that a slow one is a finding.
constexpr std::uint64_t kMaxEntries = 2000;
constexpr std::uint64_t kMaxFiles = 60;
constexpr std::size_t kMaxRead = 16u << 10;
constexpr int kMaxSeeks = 16;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// One file in memory for all inputs.
int InputFile(std::span<const std::byte> bytes) {
  static const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
  Require(::ftruncate(fd, 0) == 0 && WriteAllAt(fd, bytes, 0).has_value(), "memfd");
  return fd;
}

// Makes the trailer fit a file whose length has changed: else hardly any input gets beyond opening.
std::vector<std::byte> WithFittingTrailer(std::span<const std::byte> data) {
  std::vector<std::byte> bytes(data.begin(), data.end());
  if (bytes.size() < sizeof(format::Header) + sizeof(format::Trailer)) return bytes;
  std::byte* place = bytes.data() + bytes.size() - sizeof(format::Trailer);
  format::Trailer trailer;
  std::memcpy(&trailer, place, sizeof trailer);
  trailer.magic = format::kTrailerMagic;
  trailer.image_size = bytes.size();
  trailer.runtime_size = 0;
  std::memcpy(place, &trailer, sizeof trailer);
  return bytes;
}

class Walk {
 public:
  explicit Walk(const ImageReader& reader) : reader_(reader), buffer_(kMaxRead) {}

  void Run() {
    std::vector<InodeId> pending = {InodeId::kRoot};
    while (!pending.empty()) {
      InodeId dir = pending.back();
      pending.pop_back();
      ListDirectory(dir, pending);
    }
    // Inodes that are in no directory, and some that do not exist.
    for (std::uint32_t row = 0; row < std::min<std::uint64_t>(reader_.inode_count() + 2, 64); ++row)
      Touch(InodeId{row});
    Touch(InodeId{0xFFFFFFFF});
    static_cast<void>(reader_.Resolve("a/b/../c").has_value());
  }

 private:
  void ListDirectory(InodeId dir, std::vector<InodeId>& pending) {
    auto count = reader_.EntryCount(dir);
    if (!count) return;
    std::vector<DirectoryEntry> entries;
    bool all_good = true;
    for (std::uint64_t i = 0; i < *count && entries_ < kMaxEntries; ++i, ++entries_) {
      auto entry = reader_.EntryAt(dir, i);
      if (!entry) {
        all_good = false;
        continue;
      }
      Require(entry->has_value(), "EntryCount() agrees with EntryAt()");
      Require((*entry)->attributes.parent == dir, "an entry's parent is the directory it is in");
      Require(std::to_underlying((*entry)->inode) > std::to_underlying(dir),
              "children come behind their parents");
      entries.push_back(**entry);
    }
    if (entries_ >= kMaxEntries) all_good = false;
    for (const DirectoryEntry& entry : entries) {
      auto found = reader_.Lookup(dir, entry.name);
      if (all_good) {
        Require(found && *found && (*found)->inode == entry.inode,
                "a listed name can be looked up");
      }
      auto above = reader_.Lookup(dir, std::string(entry.name) + "x");
      if (above && *above)
        Require((*above)->name == std::string(entry.name) + "x",
                "look-ups find the name asked for");
      Touch(entry.inode);
      if (entry.attributes.type == FileType::kDirectory) pending.push_back(entry.inode);
    }
  }

  void Touch(InodeId inode) {
    auto attributes = reader_.Stat(inode);
    if (!attributes) return;
    Require((attributes->mode & ~format::kModeMask) == 0,
            "no mode bits but those the format knows");
    Require(attributes->stored <= attributes->size || attributes->size == 0,
            "holes are part of a file");
    if (attributes->type == FileType::kSymlink) {
      auto target = reader_.ReadLink(inode);
      if (target) {
        Require(target->size() == attributes->size && target->find('\0') == target->npos,
                "link targets are strings");
      }
    }
    if (attributes->type == FileType::kFile && files_++ < kMaxFiles)
      ReadFile(inode, attributes->size);
  }

  void ReadFile(InodeId inode, std::uint64_t size) {
    for (std::uint64_t offset :
         {std::uint64_t{0}, size / 2, size - std::min<std::uint64_t>(size, 5000), size,
          ~std::uint64_t{0}}) {
      auto n = reader_.Read(inode, offset, buffer_);
      std::uint64_t expected =
          offset < size ? std::min<std::uint64_t>(size - offset, buffer_.size()) : 0;
      if (n) Require(*n == expected, "a read is only short at the end");
    }
    std::vector<Slice> slices;
    static_cast<void>(reader_.Read(inode, size / 3, kMaxRead, slices).has_value());
    std::uint64_t offset = 0;
    for (int i = 0; i < kMaxSeeks; ++i) {
      auto found = reader_.Seek(inode, offset, i % 2 == 0);
      if (!found) break;
      Require(*found >= offset && *found <= size, "seeking goes forwards, to the end at most");
      offset = *found;
    }
  }

  const ImageReader& reader_;
  std::vector<std::byte> buffer_;
  std::uint64_t entries_ = 0, files_ = 0;
};

void Use(std::span<const std::byte> bytes) {
  int fd = InputFile(bytes);
  auto bundle = format::LocateImage(fd);
  if (!bundle) {
    Require(!bundle.error().message().empty(), "errors say something");
    return;
  }
  static_cast<void>(format::ReadManifest(fd, *bundle).has_value());
  if (auto reader = ImageReader::Open(UniqueFd(::dup(fd)), 64u << 10)) Walk(*reader).Run();
  static_cast<void>(VerifyBundle(UniqueFd(::dup(fd)), {}).has_value());
}

}  // namespace
}  // namespace haft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto bytes = std::as_bytes(std::span(data, size));
  std::vector<std::byte> fitting = haft::WithFittingTrailer(bytes);
  haft::Use(fitting);
  if (!std::ranges::equal(bytes, fitting)) haft::Use(bytes);
  return 0;
}
