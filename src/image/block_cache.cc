#include "haft/image/block_cache.h"

#include <algorithm>
#include <cassert>

namespace haft {

using internal::CacheSlot;

PinnedBlock::~PinnedBlock() {
  if (slot_ != nullptr) cache_->Unpin(slot_);
}

BlockCache::BlockCache(std::size_t budget_bytes, std::size_t block_size)
    : block_size_(block_size), slots_(std::max<std::size_t>(2, budget_bytes / block_size)) {}

BlockCache::~BlockCache() = default;

Result<PinnedBlock> BlockCache::Get(std::uint32_t block, std::uint32_t size, const Fill& fill) {
  assert(size <= block_size_);
  std::unique_lock lock(mutex_);
  for (;;) {
    auto found = blocks_.find(block);
    if (found == blocks_.end()) break;
    Slot* slot = found->second;
    if (slot->state == CacheSlot::State::kReady) {
      ++hits_;
      ++slot->pins;
      slot->referenced = true;
      return PinnedBlock(this, slot);
    }
    // Somebody decodes it now. If that fails, the loop tries again with a decode of its own.
    filled_.wait(lock);
  }
  ++misses_;
  Slot* slot = TakeSlot();
  slot->state = CacheSlot::State::kFilling;
  slot->block = block;
  slot->size = size;
  slot->pins = 1;
  slot->referenced = true;
  blocks_[block] = slot;
  lock.unlock();

  if (!slot->bytes) slot->bytes = std::make_unique_for_overwrite<std::byte[]>(block_size_);
  Result<> done = fill({slot->bytes.get(), size});

  lock.lock();
  if (done) {
    slot->state = CacheSlot::State::kReady;
  } else {
    ++failures_;
    blocks_.erase(block);
    slot->state = CacheSlot::State::kEmpty;
  }
  filled_.notify_all();
  PinnedBlock pinned(this, slot);
  lock.unlock();
  if (!done) return Failure(std::move(done).error());
  return pinned;
}

BlockCache::Slot* BlockCache::TakeSlot() {
  // Two rounds: the first may only clear reference bits.
  for (std::size_t step = 0; step < 2 * slots_.size(); ++step) {
    std::unique_ptr<Slot>& candidate = slots_[hand_];
    hand_ = (hand_ + 1) % slots_.size();
    if (!candidate) {
      candidate = std::make_unique<Slot>();
      return candidate.get();
    }
    if (candidate->pins != 0) continue;
    if (std::exchange(candidate->referenced, false)) continue;
    if (candidate->state == CacheSlot::State::kReady) blocks_.erase(candidate->block);
    candidate->state = CacheSlot::State::kEmpty;
    return candidate.get();
  }
  // Everything is in use: go over the budget until the next Unpin().
  temporary_.push_back(std::make_unique<Slot>());
  temporary_.back()->temporary = true;
  return temporary_.back().get();
}

void BlockCache::Unpin(Slot* slot) {
  std::scoped_lock lock(mutex_);
  assert(slot->pins > 0);
  if (--slot->pins > 0 || !slot->temporary) return;
  if (slot->state == CacheSlot::State::kReady) blocks_.erase(slot->block);
  std::erase_if(temporary_, [&](const auto& owned) { return owned.get() == slot; });
}

BlockCache::Counters BlockCache::counters() const {
  std::scoped_lock lock(mutex_);
  // Not `slot->bytes`: it belongs to the thread that fills it.
  auto allocated = std::ranges::count_if(slots_, [](const auto& slot) { return slot != nullptr; });
  return {.hits = hits_,
          .misses = misses_,
          .failures = failures_,
          .buffers = static_cast<std::uint64_t>(allocated) + temporary_.size(),
          .budget = slots_.size()};
}

void BlockCache::Trim() {
  std::scoped_lock lock(mutex_);
  for (std::unique_ptr<Slot>& slot : slots_) {
    if (!slot || slot->pins != 0) continue;
    if (slot->state == CacheSlot::State::kReady) blocks_.erase(slot->block);
    slot.reset();
  }
}

}  // namespace haft
