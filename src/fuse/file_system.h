#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "haft/base/mutex.h"
#include "haft/fuse/server_options.h"
#include "haft/fuse/shared_state.h"
#include "haft/image/image_reader.h"
#include "prefetch_blocks.h"
#include "server_statistics.h"

namespace haft {

// Answers FUSE requests from an image: one function per operation, called from any thread by way of
// FuseOperations().
//
// Everything the kernel can keep it is told to keep for good: entries, misses, attributes,
// contents, listings, link targets; open and opendir are refused once (ENOSYS) and then never asked
// again. .haft/stats is the exception: each look-up makes a new inode holding a snapshot, so that
// every open reads fresh numbers although contents are cached.
class FileSystem {
 public:
  FileSystem(ImageReader reader, const ServerOptions& options);

  // Before the first request: where .haft/stats is to be shown.
  void FindStatsDirectory();

  // What .haft/stats tells about earlier servers. Not owned.
  void ShareState(const SharedServerState* shared);

  // Decodes the next blocks of a file that is read from beginning to end. For a server that has
  // several CPUs.
  void StartPrefetch() { prefetcher_.emplace(reader_, shared_); }
  void StopPrefetch() { prefetcher_.reset(); }

  ImageReader& reader() { return reader_; }
  ServerStatistics& statistics() { return statistics_; }

  void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name);
  void Forget(fuse_ino_t inode, std::uint64_t count);
  void Getattr(fuse_req_t request, fuse_ino_t inode);
  void Readlink(fuse_req_t request, fuse_ino_t inode);
  void Read(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset);
  void Readdir(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset, bool plus);
  void Statfs(fuse_req_t request);
  void Lseek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence);

 private:
  struct DirectoryBuffer;
  void ReplyError(fuse_req_t request, const Error& error);
  struct stat ToStat(fuse_ino_t inode, const Attributes& attributes) const;
  fuse_entry_param ToEntryParam(const DirectoryEntry& entry) const;

  bool IsStatsDirectory(fuse_ino_t inode) const { return stats_directory_ == inode; }
  ServerReport Report() const;
  fuse_entry_param NewSnapshot();
  struct stat SnapshotStat(fuse_ino_t inode, std::size_t size) const;
  // The snapshot behind an inode number beyond the image's own; nullptr if it is none.
  std::shared_ptr<const std::string> FindSnapshot(fuse_ino_t inode);

  ImageReader reader_;
  std::optional<BlockPrefetcher> prefetcher_;
  ServerOptions options_;
  const SharedServerState* shared_ = nullptr;
  ServerStatistics statistics_;
  fuse_ino_t stats_directory_ = 0;  // .haft, 0 if the image has none
  Mutex mutex_;
  std::map<fuse_ino_t, std::shared_ptr<const std::string>> snapshots_ HAFT_GUARDED_BY(mutex_);
  fuse_ino_t next_snapshot_ HAFT_GUARDED_BY(mutex_);
};

}  // namespace haft
