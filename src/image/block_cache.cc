#include "haft/image/block_cache.h"

#include <algorithm>
#include <cassert>
#include <chrono>

namespace haft {

using internal::CacheSlot;

namespace {

constexpr std::size_t kUnit = 128u << 10;
// Decoding is over sooner; who takes longer reads from a disk.
constexpr std::chrono::microseconds kLongWait{300};

}  // namespace

void PinnedBlock::MarkRead(std::size_t bytes) {
  if (slot_ != nullptr) cache_->MarkRead(slot_, bytes);
}

PinnedBlock::~PinnedBlock() {
  if (slot_ != nullptr) cache_->Unpin(slot_);
}

BlockCache::BlockCache(std::size_t budget_bytes, std::size_t block_size)
    : block_size_(block_size),
      unit_(std::min(block_size, kUnit)),
      budget_(std::max(budget_bytes, 2 * block_size)),
      slots_(std::max<std::size_t>(2, budget_bytes / unit_)) {}

BlockCache::~BlockCache() = default;

Result<PinnedBlock> BlockCache::Get(std::uint32_t block, std::uint32_t size, const Fill& fill) {
  assert(size <= block_size_);
  MutexLock lock(mutex_);
  bool told = !long_wait_;
  for (;;) {
    auto found = blocks_.find(block);
    if (found == blocks_.end()) break;
    Slot* slot = found->second;
    // Who asks for more bytes than were decoded would get memory behind them.
    if (slot->size != size) return Failure(Error::Corrupt("its size is not what it was"));
    if (slot->state == CacheSlot::State::kReady) {
      ++hits_;
      ++slot->pins;
      slot->referenced = true;
      if (slot->unread == 0) slot->unread = slot->size;  // once more
      return PinnedBlock(this, slot);
    }
    // Somebody decodes it now. If that fails, the loop tries again with a decode of its own.
    if (told) {
      filled_.Wait(lock);
    } else if (!filled_.WaitFor(lock, kLongWait)) {
      lock.Unlock();
      long_wait_();
      lock.Lock();
      told = true;
    }
  }
  ++misses_;
  Slot* slot = TakeSlot();
  slot->state = CacheSlot::State::kFilling;
  slot->block = block;
  slot->size = size;
  slot->pins = 1;
  slot->referenced = true;
  slot->unread = size;
  blocks_[block] = slot;
  MakeRoom(*slot, size);
  const std::uint32_t capacity = slot->capacity;
  lock.Unlock();

  if (!slot->bytes) slot->bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
  Result<> done = fill({slot->bytes.get(), size});

  lock.Lock();
  if (done) {
    slot->state = CacheSlot::State::kReady;
  } else {
    ++failures_;
    blocks_.erase(block);
    slot->state = CacheSlot::State::kEmpty;
  }
  filled_.NotifyAll();
  PinnedBlock pinned(this, slot);
  lock.Unlock();
  TRY(std::move(done));
  return pinned;
}

BlockCache::Slot* BlockCache::NextVictim() {
  // Two rounds: the first may only clear reference bits.
  for (std::size_t step = 0; step < 2 * slots_.size(); ++step) {
    std::unique_ptr<Slot>& candidate = slots_[hand_];
    hand_ = (hand_ + 1) % slots_.size();
    if (!candidate) candidate = std::make_unique<Slot>();
    if (candidate->pins != 0) continue;
    if (std::exchange(candidate->referenced, false)) continue;
    return candidate.get();
  }
  return nullptr;
}

void BlockCache::Forget(Slot& slot) {
  if (slot.state == CacheSlot::State::kReady) blocks_.erase(slot.block);
  slot.state = CacheSlot::State::kEmpty;
}

BlockCache::Slot* BlockCache::TakeSlot() {
  while (!consumed_.empty()) {
    Slot* slot = consumed_.back();
    consumed_.pop_back();
    slot->listed = false;
    if (slot->unread != 0 || slot->pins != 0) continue;
    Forget(*slot);
    return slot;
  }
  if (Slot* victim = NextVictim()) {
    Forget(*victim);
    return victim;
  }
  // Everything is in use: go over the budget until the next Unpin().
  temporary_.push_back(std::make_unique<Slot>());
  temporary_.back()->temporary = true;
  return temporary_.back().get();
}

// Gives the slot, which is nobody else's, a buffer's worth of the budget; others may lose theirs.
void BlockCache::MakeRoom(Slot& slot, std::uint32_t size) {
  const auto wanted = static_cast<std::uint32_t>(std::max<std::size_t>(size, unit_));
  if (slot.capacity >= size && slot.capacity <= 2 * wanted) return;
  slot.bytes.reset();
  used_ -= std::exchange(slot.capacity, 0);
  // Slots without a buffer are victims as well, but of no use: look no further than once at each.
  for (std::size_t step = 0; used_ + wanted > budget_ && step < slots_.size(); ++step) {
    Slot* victim = NextVictim();
    if (victim == nullptr) break;
    Forget(*victim);
    victim->bytes.reset();
    used_ -= std::exchange(victim->capacity, 0);
  }
  slot.capacity = wanted;
  used_ += wanted;
}

void BlockCache::MarkRead(Slot* slot, std::size_t bytes) {
  MutexLock lock(mutex_);
  slot->unread -= static_cast<std::uint32_t>(std::min<std::size_t>(bytes, slot->unread));
}

void BlockCache::Unpin(Slot* slot) {
  MutexLock lock(mutex_);
  assert(slot->pins > 0);
  if (--slot->pins > 0) return;
  if (!slot->temporary) {
    if (slot->unread == 0 && !std::exchange(slot->listed, true)) consumed_.push_back(slot);
    return;
  }
  Forget(*slot);
  used_ -= slot->capacity;
  std::erase_if(temporary_, [&](const auto& owned) { return owned.get() == slot; });
}

BlockCache::Counters BlockCache::counters() const {
  MutexLock lock(mutex_);
  // Not `slot->bytes`: it belongs to the thread that fills it.
  auto allocated =
      std::ranges::count_if(slots_, [](const auto& slot) { return slot && slot->capacity != 0; });
  return {.hits = hits_,
          .misses = misses_,
          .failures = failures_,
          .buffers = static_cast<std::uint64_t>(allocated) + temporary_.size(),
          .budget = slots_.size()};
}

void BlockCache::Trim() {
  MutexLock lock(mutex_);
  for (Slot* slot : std::exchange(consumed_, {})) slot->listed = false;
  for (std::unique_ptr<Slot>& slot : slots_) {
    if (!slot || slot->pins != 0) continue;
    Forget(*slot);
    used_ -= slot->capacity;
    slot.reset();
  }
}

}  // namespace haft
