#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

struct VerifyReport {
  std::uint64_t files = 0;
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;            // of the file, all of which were read
  std::vector<std::string> problems;  // at most kMaxProblems, the last then says how many more
  static constexpr std::size_t kMaxProblems = 50;
};

// Reads every byte of a bundle and checks everything docs/format.md says: all digests, the
// padding, that the parts follow each other, and the whole tree. Any changed bit of the file is a
// problem, but for those inside a signature: what it is worth, trust/signers.h says. The error is
// for a file in which no image can be found. `progress` (bytes done, bytes in all) may be empty.
Result<VerifyReport> VerifyBundle(
    UniqueFd file, const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace haft
