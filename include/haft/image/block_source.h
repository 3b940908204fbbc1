#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/layout.h"

namespace haft {

// What a read is about to do that takes longer than a look-up.
enum class SlowWork {
  kDecode,  // check and decode a block: tens of microseconds
  kDisk,    // wait for the disk first
};
// Called by the reading thread before slow work, without locks held.
using SlowWorkHook = std::function<void(SlowWork)>;

// Where an image's decoded blocks come from: the file they are stored in, or an archive of another
// format. Thread-safe.
class BlockSource {
 public:
  virtual ~BlockSource() = default;

  // Fills `out`, which is as long as the decoded block, or fails; never leaves bytes in it that are
  // not the block's and reports success.
  virtual Result<> Fill(std::uint32_t number, const format::Block& block,
                        std::span<std::byte> out) = 0;

  // Descriptors that Fill() reads from and nobody else owns: a process that closes others must keep
  // them.
  virtual std::vector<int> Descriptors() const { return {}; }

  // What tells these blocks from others that the same index would fit. Empty: the index has their
  // digests.
  virtual std::string Identity() const { return {}; }

  // REQUIRES: no Fill() is running.
  void SetSlowWorkHook(SlowWorkHook hook) { slow_work_ = std::move(hook); }

 protected:
  void Announce(SlowWork work) const {
    if (slow_work_) slow_work_(work);
  }

 private:
  SlowWorkHook slow_work_;
};

}  // namespace haft
