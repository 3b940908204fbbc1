#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

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
  ~BlockPrefetcher() = default;  // joins

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
  struct Part {
    InodeId file;
    std::uint64_t offset;
    std::uint64_t size;
  };

  void Work(std::stop_token stop);

  const ImageReader& reader_;
  const SharedServerState* const shared_;
  std::mutex mutex_;
  std::condition_variable_any wanted_;
  std::array<Stream, 4> streams_;  // guarded by mutex_, like all below
  std::size_t oldest_ = 0;
  std::optional<Part> part_;  // the next to decode; a newer one takes its place
  bool impossible_ = false;   // no more threads for us
  std::jthread thread_;       // last: ends first
};

}  // namespace haft
