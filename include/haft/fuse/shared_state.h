#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "haft/base/cpu_placement.h"

namespace haft {

// What a server and its supervisor know of each other, in memory they share: it survives the
// server.
struct SharedServerState {
  static constexpr std::size_t kSlots = 64;
  using Numbers = std::array<std::atomic<std::uint64_t>, kSlots>;

  // Written by the server.
  Numbers in_flight{};                     // the request each thread is working on; 0: none
  std::atomic<std::uint64_t> answered{0};  // requests

  // Written by the supervisor.
  Numbers refused{};                       // requests that have killed servers: to be answered EIO
  std::atomic<std::uint32_t> deaths{0};    // of servers
  std::atomic<int> last_status{0};         // of the last one, as waitpid(2) gives it
  std::atomic<std::int64_t> last_time{0};  // seconds since 1970
  OtherCpus cpus;  // where servers run during the prefetch; set before the first
  std::atomic<bool> prefetching{false};
};

}  // namespace haft
