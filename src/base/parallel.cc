#include "haft/base/parallel.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "haft/base/exceptions.h"

namespace haft {
namespace {

// Of several failures the one with the smallest number.
class FirstFailure {
 public:
  void Note(std::size_t number, Error error) {
    MutexLock lock(mutex_);
    if (error_ && number_ < number) return;
    error_ = std::move(error);
    number_ = number;
  }
  std::optional<Error> Take() {
    MutexLock lock(mutex_);
    return std::move(error_);
  }

 private:
  Mutex mutex_;
  std::optional<Error> error_ HAFT_GUARDED_BY(mutex_);
  std::size_t number_ HAFT_GUARDED_BY(mutex_) = 0;
};

}  // namespace

Result<> ParallelFor(std::size_t count, unsigned workers,
                     const std::function<Result<>(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  FirstFailure failure;

  auto run = [&] {
    while (!failed.load()) {
      std::size_t i = next.fetch_add(1);
      if (i >= count) return;
      Result<> result = Caught([&] { return work(i); });
      if (result) continue;
      failed.store(true);
      failure.Note(i, std::move(result).error());
    }
  };

  std::vector<std::thread> threads;
  threads.reserve(workers);
  try {
    while (threads.size() + 1 < std::min<std::size_t>(workers, count)) threads.emplace_back(run);
  } catch (
      const std::system_error&) {  // RLIMIT_NPROC, pids.max, memory: those that are there do it
  }
  run();
  for (std::thread& thread : threads) thread.join();
  if (auto error = failure.Take()) return Failure(*std::move(error));
  return {};
}

}  // namespace haft
