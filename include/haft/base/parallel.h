// The two ways haft uses several CPUs. Neither makes results depend on timing.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/mutex.h"

namespace haft {

// Threads to use when the user asked for `wanted`: that many, or one per usable CPU for 0.
inline unsigned WorkerCount(unsigned wanted) {
  unsigned available = std::thread::hardware_concurrency();
  return wanted != 0 ? wanted : available != 0 ? available : 1;
}

// Calls `work(i)` once for every i in [0, count), on up to `workers` threads. After a failure no
// new calls are started; of several failures the one with the smallest i is returned.
Result<> ParallelFor(std::size_t count, unsigned workers,
                     const std::function<Result<>(std::size_t)>& work);

// Runs jobs on threads of its own and hands their outputs, in the order of submission, to `consume`
// on the thread that submits. At most `window` jobs are under way or done and not consumed, which
// bounds the memory.
template <typename Output>
class OrderedPool {
 public:
  using Job = std::function<Result<Output>()>;
  using Consumer = std::function<Result<>(Output)>;

  OrderedPool(unsigned workers, std::size_t window, Consumer consume)
      : window_(window), consume_(std::move(consume)) {
    for (unsigned i = 0; i < workers; ++i) threads_.emplace_back([this] { Run(); });
  }
  OrderedPool(const OrderedPool&) = delete;
  OrderedPool& operator=(const OrderedPool&) = delete;
  // Waits for the jobs under way; drops those not begun.
  ~OrderedPool() {
    {
      MutexLock lock(mutex_);
      stop_ = true;
    }
    changed_.NotifyAll();
    for (std::thread& thread : threads_) thread.join();
  }

  // Fails with the first failure of a job or of `consume`. Afterwards the pool can only be
  // destroyed.
  Result<> Submit(Job job) {
    TRY(Consume(window_ - 1));
    {
      MutexLock lock(mutex_);
      slots_.push_back({.job = std::move(job)});
    }
    changed_.NotifyAll();
    return {};
  }

  // Consumes the outputs of all jobs.
  Result<> Finish() { return Consume(0); }

 private:
  struct Slot {
    Job job;
    std::optional<Result<Output>> output = std::nullopt;
  };

  // Consumes what is ready at the front, and waits as long as more than `remaining` jobs are there.
  Result<> Consume(std::size_t remaining) {
    for (;;) {
      MutexLock lock(mutex_);
      if (slots_.empty()) return {};
      if (!slots_.front().output && slots_.size() <= remaining) return {};
      while (!slots_.front().output) changed_.Wait(lock);
      Result<Output> output = *std::move(slots_.front().output);
      slots_.pop_front();
      --begun_;
      lock.Unlock();
      TRY(consume_(TRY(std::move(output))));
    }
  }

  void Run() {
    MutexLock lock(mutex_);
    for (;;) {
      while (!stop_ && begun_ == slots_.size()) changed_.Wait(lock);
      if (stop_) return;
      // References to elements of a deque survive push_back and the pop_front of others.
      Slot& slot = slots_[begun_++];
      Job job = std::move(slot.job);
      lock.Unlock();
      Result<Output> output = job();
      lock.Lock();
      slot.output.emplace(std::move(output));
      changed_.NotifyAll();
    }
  }

  const std::size_t window_;
  const Consumer consume_;
  Mutex mutex_;
  Condition changed_;
  std::deque<Slot> slots_ HAFT_GUARDED_BY(mutex_);
  std::size_t begun_ HAFT_GUARDED_BY(mutex_) = 0;  // slots at the front that a thread has taken
  bool stop_ HAFT_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace haft
