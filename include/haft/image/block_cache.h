#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/mutex.h"

namespace haft {

class BlockCache;

namespace internal {
// One buffer of the cache. All members are guarded by the cache's mutex except `bytes`, which only
// the thread that fills the slot writes, before the state turns ready.
struct CacheSlot {
  enum class State { kEmpty, kFilling, kReady };
  State state = State::kEmpty;
  std::uint32_t block = 0;
  std::uint32_t size = 0;
  std::uint32_t pins = 0;
  bool referenced = false;  // CLOCK's second chance
  // Bytes not yet handed out. At 0 the block is unlikely to be read again and is evicted first.
  std::uint32_t unread = 0;
  bool listed = false;         // in consumed_
  bool temporary = false;      // beyond the budget: dropped when unpinned
  std::uint32_t capacity = 0;  // bytes at `bytes`
  std::unique_ptr<std::byte[]> bytes;
};
}  // namespace internal

// Keeps one decoded block in memory. Move-only; must not outlive its cache.
class PinnedBlock {
 public:
  PinnedBlock() = default;
  PinnedBlock(PinnedBlock&& other) noexcept
      : cache_(std::exchange(other.cache_, nullptr)), slot_(std::exchange(other.slot_, nullptr)) {}
  PinnedBlock& operator=(PinnedBlock other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~PinnedBlock();

  std::span<const std::byte> bytes() const { return {slot_->bytes.get(), slot_->size}; }
  // The caller passes that many of its bytes on to somebody who keeps them (the kernel). Once all
  // went out and it is not pinned any more, its buffer is the first to be used for another block.
  void MarkRead(std::size_t bytes);

 private:
  friend class BlockCache;
  PinnedBlock(BlockCache* cache, internal::CacheSlot* slot) : cache_(cache), slot_(slot) {}
  BlockCache* cache_ = nullptr;
  internal::CacheSlot* slot_ = nullptr;
};

// A bounded set of decoded blocks with CLOCK replacement. Blocks are decoded outside the lock;
// threads that want a block being decoded wait for that one decode. Failures are not kept.
// Thread-safe.
class BlockCache {
 public:
  // Fills `out` (as long as the block) or fails; called without the lock held.
  using Fill = std::function<Result<>(std::span<std::byte> out)>;

  struct Counters {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t failures = 0;
    std::uint64_t buffers = 0;  // allocated now
    std::uint64_t budget = 0;   // buffers at most, temporary ones aside
  };

  // At least two buffers, for blocks of up to `block_size` bytes, allocated when first needed.
  // Blocks of more than 128 KiB take the room of several.
  BlockCache(std::size_t budget_bytes, std::size_t block_size);
  ~BlockCache();  // REQUIRES: nothing is pinned

  // Called, without the lock held, by a thread that has waited a while for a block that another one
  // fills. REQUIRES: no Get() is running.
  void SetLongWaitHook(std::function<void()> hook) { long_wait_ = std::move(hook); }
  // The block, which has exactly `size` bytes. If it is there with another size it is not that
  // block: kCorrupt. REQUIRES: size <= block_size.
  Result<PinnedBlock> Get(std::uint32_t block, std::uint32_t size, const Fill& fill);
  Counters counters() const;
  // Gives the memory of all unpinned blocks back.
  void Trim();

 private:
  friend class PinnedBlock;
  using Slot = internal::CacheSlot;
  void Unpin(Slot* slot);
  void MarkRead(Slot* slot, std::size_t bytes);
  Slot* TakeSlot() HAFT_REQUIRES(mutex_);
  Slot* NextVictim() HAFT_REQUIRES(mutex_);  // by CLOCK; nullptr: all are in use
  void Forget(Slot& slot) HAFT_REQUIRES(mutex_);
  void MakeRoom(Slot& slot, std::uint32_t size) HAFT_REQUIRES(mutex_);

  std::function<void()> long_wait_;
  mutable Mutex mutex_;
  Condition filled_;
  const std::size_t block_size_;
  const std::size_t unit_;    // the smallest buffer
  const std::size_t budget_;  // bytes of all buffers
  std::size_t used_ HAFT_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Slot>> slots_ HAFT_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Slot>> temporary_ HAFT_GUARDED_BY(mutex_);
  std::unordered_map<std::uint32_t, Slot*> blocks_ HAFT_GUARDED_BY(mutex_);
  // Slots not pinned; some may have found another use since.
  std::vector<Slot*> consumed_ HAFT_GUARDED_BY(mutex_);
  std::size_t hand_ HAFT_GUARDED_BY(mutex_) = 0;
  std::uint64_t hits_ HAFT_GUARDED_BY(mutex_) = 0;
  std::uint64_t misses_ HAFT_GUARDED_BY(mutex_) = 0;
  std::uint64_t failures_ HAFT_GUARDED_BY(mutex_) = 0;
};

}  // namespace haft
