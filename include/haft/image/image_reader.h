#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/format/bundle_file.h"
#include "haft/image/block_cache.h"
#include "haft/image/block_source.h"

namespace haft {

// Row of the inode table. FUSE's inode number is this plus 1.
enum class InodeId : std::uint32_t { kRoot = 0 };

enum class FileType : std::uint8_t { kFile, kDirectory, kSymlink };

struct Attributes {
  FileType type;
  std::uint32_t mode;  // permission bits only, within 01777
  std::uint32_t links;
  std::uint64_t size;  // bytes; symlink: of the target; directory: 0
  std::int64_t mtime;  // seconds
  std::uint32_t mtime_nanoseconds;
  std::uint64_t stored;  // bytes not in holes
  InodeId parent;
};

struct DirectoryEntry {
  std::string_view name;  // points into the index; valid as long as the reader
  InodeId inode;
  Attributes attributes;
};

// Part of a decoded block, kept in memory as long as this object lives.
struct Slice {
  PinnedBlock block;  // empty for a hole: `bytes` then points to zeros
  std::span<const std::byte> bytes;
};

// One block that a read needed.
struct BlockUse {
  std::uint32_t block;
  bool decoded;                   // it was not in the cache
  std::chrono::nanoseconds took;  // to get it
};

// Answers file-system questions about an image in a file. Knows nothing of FUSE. Immutable after
// Open() and safe from any number of threads. Every offset and count from the image is checked when
// it is used: damage is kCorrupt for exactly what needs the damaged bytes, never a bad read.
class ImageReader {
 public:
  // O(1): reads the trailer, maps the index. `cache_bytes` bounds the decoded blocks kept in
  // memory.
  static Result<ImageReader> Open(UniqueFd file, std::size_t cache_bytes = kDefaultCacheBytes);
  // The same with blocks from elsewhere: `file` then needs only index, manifest and trailer.
  static Result<ImageReader> Open(UniqueFd file, std::unique_ptr<BlockSource> blocks,
                                  std::size_t cache_bytes = kDefaultCacheBytes);

  static constexpr std::size_t kDefaultCacheBytes = 16u << 20;

  ImageReader(ImageReader&&) noexcept;
  ImageReader& operator=(ImageReader&&) noexcept;
  ~ImageReader();
  // A second handle on the same open image: descriptors, cache and hooks are shared. For a forked
  // child that serves the image while its parent keeps its own handle.
  ImageReader Share() const;

  const format::BundleFile& bundle() const;
  int fd() const;
  // All descriptors reading needs, fd() among them: a process that closes others must keep them.
  std::vector<int> Descriptors() const;
  // Names what is in the image: its root, which nobody can forge. Of an archive, whose blocks have
  // no digests, that of the index and of which file it is, in the state it is in.
  format::Digest image_id() const;
  std::uint64_t inode_count() const { return bundle().trailer.inode_count; }
  BlockCache& cache() const;
  // REQUIRES: no reads are running.
  void SetSlowWorkHook(SlowWorkHook hook);
  // Called by the reading thread for every block that a read got. REQUIRES: no reads are running.
  void SetBlockUseHook(std::function<void(const BlockUse&)> hook);

  Result<Attributes> Stat(InodeId inode) const;
  // nullopt: no such name. A `dir` that is no directory is ENOTDIR.
  Result<std::optional<DirectoryEntry>> Lookup(InodeId dir, std::string_view name) const;
  // Children are in bytewise name order; nullopt behind the last one.
  Result<std::optional<DirectoryEntry>> EntryAt(InodeId dir, std::uint64_t index) const;
  Result<std::uint64_t> EntryCount(InodeId dir) const;
  Result<std::string_view> ReadLink(InodeId symlink) const;

  // The bytes [offset, offset + length) of a file, fewer only at its end. Decodes the blocks it
  // needs; `out` is cleared first. Directories are EISDIR, symlinks EINVAL.
  Result<> Read(InodeId file, std::uint64_t offset, std::size_t length,
                std::vector<Slice>& out) const;
  // The same, copied; returns the number of bytes.
  Result<std::size_t> Read(InodeId file, std::uint64_t offset, std::span<std::byte> out) const;
  // lseek(2)'s SEEK_DATA (hole = false) and SEEK_HOLE: the offset found, ENXIO behind the end.
  Result<std::uint64_t> Seek(InodeId file, std::uint64_t offset, bool hole) const;

  // Orders files as their contents are stored: who reads them in this order decodes each block
  // about once.
  std::uint64_t Place(InodeId file) const;

  // Follows a path from the root without following symlinks; "" and "/" are the root. The error
  // names the path.
  Result<DirectoryEntry> Resolve(std::string_view path) const;

 private:
  struct Impl;
  explicit ImageReader(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace haft
