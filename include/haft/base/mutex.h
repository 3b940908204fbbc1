// std::mutex, its lock and its condition variable, for clang's thread-safety analysis: what is
// declared HAFT_GUARDED_BY(mutex_) cannot be used without a MutexLock on it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "haft/base/thread_annotations.h"

namespace haft {

class HAFT_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

// Holds the mutex until it is destroyed, but for the time between Unlock() and Lock().
class HAFT_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) HAFT_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~MutexLock() HAFT_RELEASE() {}
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void Unlock() HAFT_RELEASE() { lock_.unlock(); }
  void Lock() HAFT_ACQUIRE() { lock_.lock(); }

 private:
  friend class Condition;
  std::unique_lock<std::mutex> lock_;
};

// Waits without the lock and returns with it. What is waited for stands in a loop around the wait,
// where the analysis sees it.
class Condition {
 public:
  void Wait(MutexLock& lock) { condition_.wait(lock.lock_); }
  // False: the time is over.
  bool WaitFor(MutexLock& lock, std::chrono::microseconds time) {
    return condition_.wait_for(lock.lock_, time) == std::cv_status::no_timeout;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace haft
