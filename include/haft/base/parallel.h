// The two ways haft uses several CPUs. Neither makes results depend on timing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "haft/base/error.h"

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
      std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // Fails with the first failure of a job or of `consume`. Afterwards the pool can only be
  // destroyed.
  Result<> Submit(Job job) {
    TRY(Consume(window_ - 1));
    {
      std::scoped_lock lock(mutex_);
      slots_.push_back({.job = std::move(job)});
    }
    changed_.notify_all();
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
      std::unique_lock lock(mutex_);
      if (slots_.empty()) return {};
      if (!slots_.front().output && slots_.size() <= remaining) return {};
      changed_.wait(lock, [this] { return slots_.front().output.has_value(); });
      Result<Output> output = *std::move(slots_.front().output);
      slots_.pop_front();
      --begun_;
      lock.unlock();
      TRY(consume_(TRY(std::move(output))));
    }
  }

  void Run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stop_ || begun_ < slots_.size(); });
      if (stop_) return;
      // References to elements of a deque survive push_back and the pop_front of others.
      Slot& slot = slots_[begun_++];
      Job job = std::move(slot.job);
      lock.unlock();
      Result<Output> output = job();
      lock.lock();
      slot.output.emplace(std::move(output));
      changed_.notify_all();
    }
  }

  const std::size_t window_;
  const Consumer consume_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Slot> slots_;  // guarded by mutex_, as is all below
  std::size_t begun_ = 0;   // slots at the front that a thread has taken
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace haft
