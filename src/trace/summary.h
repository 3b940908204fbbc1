#pragma once

#include <string>
#include <utility>
#include <vector>

#include "haft/trace/trace.h"

namespace haft::trace {

struct Summary {
  std::vector<std::pair<std::string, std::uint64_t>> operations;  // most frequent first
  Nanoseconds answering = 0;
  Nanoseconds decoding = 0;
  std::uint64_t decoded = 0;  // blocks
  std::uint64_t unused_size = 0;
};

Summary Summarise(const Trace& trace);

}  // namespace haft::trace
