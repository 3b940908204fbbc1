#include "prefetch_blocks.h"

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

namespace haft {
namespace {

// A reader that has got that far without a gap goes on, most likely. Few files of a Python program
// are as large.
constexpr std::uint64_t kMinRun = 512u << 10;
// Two of the kernel's requests: while one is decoded the other is there.
constexpr std::uint64_t kPrefetchBytes = 256u << 10;

}  // namespace

BlockPrefetcher::~BlockPrefetcher() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stop_ = true;
    thread = std::move(thread_);
  }
  wanted_.NotifyOne();
  if (thread.joinable()) thread.join();
}

void BlockPrefetcher::Note(InodeId file, std::uint64_t offset, std::size_t size) {
  // The prefetch has a CPU with the server, and reads two pieces at a time anyway.
  if (shared_ != nullptr && shared_->prefetching) return;
  MutexLock lock(mutex_);
  auto stream = std::ranges::find_if(
      streams_, [&](const Stream& one) { return one.file == file && one.next == offset; });
  if (stream == streams_.end()) {
    streams_[oldest_] = {.file = file, .next = offset + size, .run = size};
    oldest_ = (oldest_ + 1) % streams_.size();
    return;
  }
  stream->next += size;
  stream->run += size;
  if (stream->run < kMinRun || impossible_) return;
  const std::uint64_t begin = std::max(stream->ahead, stream->next),
                      end = stream->next + kPrefetchBytes;
  if (begin >= end) return;
  stream->ahead = end;
  wanted_range_ = {.file = file, .range = {.offset = begin, .size = end - begin}};
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { Work(); });
    } catch (const std::system_error&) {  // RLIMIT_NPROC, pids.max
      impossible_ = true;
    }
  }
  wanted_.NotifyOne();
}

void BlockPrefetcher::Work() {
  if (shared_ != nullptr)
    shared_->cpus.Release();  // whoever started the thread may still be beside the program
  std::vector<Slice> blocks;
  MutexLock lock(mutex_);
  for (;;) {
    while (!stop_ && !wanted_range_) wanted_.Wait(lock);
    if (stop_) return;
    const auto [file, range] = *std::exchange(wanted_range_, std::nullopt);
    lock.Unlock();
    // They stay in the cache. Whoever asks for what cannot be read is told so himself.
    try {
      static_cast<void>(reader_.Read(file, range.offset, range.size, blocks));
    } catch (const std::bad_alloc&) {
    }
    blocks.clear();
    lock.Lock();
  }
}

}  // namespace haft
