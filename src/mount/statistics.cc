#include "statistics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "haft/base/file_io.h"
#include "haft/mount/request_log.h"

namespace haft {
namespace {

constexpr std::array<const char*, static_cast<std::size_t>(Operation::kCount)> kNames = {
    "lookup",  "forget",      "getattr", "readlink", "open",  "read",    "opendir",    "readdir",
    "readdirplus", "statfs", "ioctl",   "lseek",    "release", "releasedir", "flush"};

// Resident memory of this process in bytes; 0 if /proc does not tell.
std::uint64_t ResidentBytes() {
  unsigned long total = 0, resident = 0;
  auto text = ReadWholeFile("/proc/self/statm", 4096);
  if (!text || std::sscanf(text->c_str(), "%lu %lu", &total, &resident) != 2) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// In quotes; what is not UTF-8 becomes U+FFFD.
std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = Utf8SequenceLength(text);
    const auto c = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (c < 0x20 || c == '"' || c == '\\') {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out += '"';
}

}  // namespace

std::string_view OperationName(std::uint8_t operation) {
  return operation < kNames.size() ? kNames[operation] : "?";
}

void Statistics::RecordError(std::string_view message) {
  errors_.fetch_add(1, std::memory_order_relaxed);
  std::scoped_lock lock(mutex_);
  last_error_ = message;
}

std::string Statistics::ToJson(const BlockCache::Counters& cache, const ServerReport& report) const {
  // Written out: the library's writer would be 60 KB in front of every image.
  std::string operations;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    operations += fmt::format("{}\n    \"{}\": {}", i == 0 ? "" : ",", kNames[i], counts_[i].value.load());
  }
  std::scoped_lock lock(mutex_);
  return fmt::format(
      R"({{
  "operations": {{{}
  }},
  "read_bytes": {},
  "hand_overs": {},
  "errors": {},
  "last_error": {},
  "cache": {{
    "hits": {},
    "misses": {},
    "failures": {},
    "buffers": {},
    "budget": {}
  }},
  "server": {{
    "pid": {},
    "rss_bytes": {},
    "keeper": {},
    "deaths": {},
    "last_death": {},
    "last_death_time": {}
  }},
  "bundle": {{
    "name": {},
    "image_id": {},
    "mode": {},
    "mount": {},
    "program": {},
    "started": {}
  }}
}}
)",
      operations, read_bytes_.load(), hand_overs_.load(), errors_.load(), JsonString(last_error_), cache.hits, cache.misses,
      cache.failures, cache.buffers, cache.budget, ::getpid(), ResidentBytes(), report.keeper, report.deaths,
      JsonString(report.last_death), report.last_time, JsonString(report.bundle.name), JsonString(report.image_id),
      JsonString(report.bundle.mode), JsonString(report.bundle.mount), report.bundle.program, report.bundle.started);
}

}  // namespace haft
