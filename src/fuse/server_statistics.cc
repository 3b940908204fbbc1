#include "server_statistics.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "haft/base/text.h"

namespace haft {

void ServerStatistics::OpenProcessFile() {
  process_file_ = UniqueFd(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
}

// 0 if /proc does not tell.
std::uint64_t ServerStatistics::ResidentBytes() const {
  char text[128] = {};
  if (::pread(process_file_.get(), text, sizeof text - 1, 0) <= 0) return 0;
  const std::vector<std::string_view> pages = Words(text);  // all, resident, …
  const std::uint64_t resident =
      pages.size() < 2 ? 0 : ToNumber<std::uint64_t>(pages[1]).value_or(0);
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void ServerStatistics::RecordError(std::string_view message) {
  errors_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  last_error_ = message;
}

std::string ServerStatistics::ToJson(const BlockCache::Counters& cache,
                                     const ServerReport& report) const {
  nlohmann::ordered_json operations;
  for (std::size_t i = 0; i < kOperationNames.size(); ++i)
    operations[kOperationNames[i]] = counts_[i].value.load();
  MutexLock lock(mutex_);
  nlohmann::ordered_json json = {
      {"operations", operations},
      {"read_bytes", read_bytes_.load()},
      {"hand_overs", hand_overs_.load()},
      {"errors", errors_.load()},
      {"last_error", last_error_},
      {"cache",
       {{"hits", cache.hits},
        {"misses", cache.misses},
        {"failures", cache.failures},
        {"buffers", cache.buffers},
        {"budget", cache.budget}}},
      {"server",
       {{"pid", ::getpid()},
        {"rss_bytes", ResidentBytes()},
        {"supervisor", report.supervisor},
        {"deaths", report.deaths},
        {"last_death", report.last_death},
        {"last_death_time", report.last_time}}},
      {"bundle",
       {{"name", report.bundle.name},
        {"image_id", report.image_id},
        {"mode", report.bundle.mode},
        {"mount", report.bundle.mount},
        {"program", report.bundle.program},
        {"started", report.bundle.started}}},
  };
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace haft
