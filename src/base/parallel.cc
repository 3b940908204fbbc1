#include "haft/base/parallel.h"

#include <algorithm>
#include <optional>

namespace haft {

Result<> ParallelFor(std::size_t count, unsigned workers,
                     const std::function<Result<>(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::optional<Error> error;  // guarded by mutex
  std::size_t error_index = 0;

  auto run = [&] {
    while (!failed.load()) {
      std::size_t i = next.fetch_add(1);
      if (i >= count) return;
      Result<> result = work(i);
      if (result) continue;
      failed.store(true);
      std::scoped_lock lock(mutex);
      if (error && error_index < i) return;
      error = std::move(result).error();
      error_index = i;
    }
  };

  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min<std::size_t>(workers, count); ++i) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
  if (error) return Failure(*std::move(error));
  return {};
}

}  // namespace haft
