#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>

#include "haft/base/mutex.h"
#include "haft/format/byte_range.h"
#include "haft/fuse/shared_state.h"
#include "haft/image/image_reader.h"

namespace haft {

// Decodes what a process that reads a file from beginning to end will ask for next, on a thread of
// its own. The kernel has one request of such a reader under way: without this, nobody decodes
// while a reply is copied. Thread-safe.
class BlockPrefetcher {
 public:
  // Both have to outlive it; `shared` may be nullptr. The thread is started when it is first
  // needed.
  BlockPrefetcher(const ImageReader& reader, const SharedServerState* shared)
      : reader_(reader), shared_(shared) {}
  ~BlockPrefetcher();
  BlockPrefetcher(const BlockPrefetcher&) = delete;
  BlockPrefetcher& operator=(const BlockPrefetcher&) = delete;

  // To be told of every read before it is answered, in the order in which they came.
  void Note(InodeId file, std::uint64_t offset, std::size_t size);

 private:
  // A file that is read on and on. All in bytes.
  struct Stream {
    std::optional<InodeId> file;
    std::uint64_t next = 0;   // offset of the read that would continue it
    std::uint64_t run = 0;    // how much was read without a gap
    std::uint64_t ahead = 0;  // decoded, or wanted, up to here
  };
  struct FileRange {
    InodeId file;
    format::ByteRange range;
  };

  void Work();

  const ImageReader& reader_;
  const SharedServerState* const shared_;
  Mutex mutex_;
  Condition wanted_;
  std::array<Stream, 4> streams_ HAFT_GUARDED_BY(mutex_);
  std::size_t oldest_ HAFT_GUARDED_BY(mutex_) = 0;
  // The next to decode; a newer one takes its place.
  std::optional<FileRange> wanted_range_ HAFT_GUARDED_BY(mutex_);
  bool impossible_ HAFT_GUARDED_BY(mutex_) = false;  // no more threads for us
  bool stop_ HAFT_GUARDED_BY(mutex_) = false;
  std::thread thread_ HAFT_GUARDED_BY(mutex_);
};

}  // namespace haft
