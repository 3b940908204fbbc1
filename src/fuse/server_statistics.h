#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "haft/base/mutex.h"
#include "haft/base/unique_fd.h"
#include "haft/fuse/operation.h"
#include "haft/fuse/server_options.h"
#include "haft/image/block_cache.h"

namespace haft {

// What is not counted: whose server it is, and how its predecessors ended.
struct ServerReport {
  BundleDescription bundle = {};
  std::string image_id = {};
  pid_t supervisor = 0;  // 0: none
  std::uint32_t deaths = 0;
  std::string last_death = {};
  std::int64_t last_time = 0;  // of it, in seconds since 1970
};

// What the server did so far. Counting is one relaxed increment; thread-safe.
class ServerStatistics {
 public:
  void Count(Operation operation) { ++counts_[static_cast<std::size_t>(operation)]; }
  void CountRead(std::uint64_t bytes) { read_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void CountHandOver() { hand_overs_.fetch_add(1, std::memory_order_relaxed); }
  void RecordError(std::string_view message);

  // Where the kernel tells how much memory this process has, which ToJson() then reads without
  // opening anything.
  void OpenProcessFile();

  // The contents of .haft/stats: one JSON object and a newline.
  std::string ToJson(const BlockCache::Counters& cache, const ServerReport& report = {}) const;

 private:
  std::uint64_t ResidentBytes() const;

  struct Counter {
    std::atomic<std::uint64_t> value{0};
    void operator++() { value.fetch_add(1, std::memory_order_relaxed); }
  };
  std::array<Counter, static_cast<std::size_t>(Operation::kCount)> counts_;
  std::atomic<std::uint64_t> read_bytes_{0};
  std::atomic<std::uint64_t> hand_overs_{0};
  std::atomic<std::uint64_t> errors_{0};
  UniqueFd process_file_;
  mutable Mutex mutex_;
  std::string last_error_ HAFT_GUARDED_BY(mutex_);
};

}  // namespace haft
