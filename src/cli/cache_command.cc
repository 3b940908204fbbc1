#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>

#include "commands.h"
#include "haft/base/file_io.h"
#include "haft/base/variables.h"
#include "haft/launch/environment.h"
#include "haft/mount/cache_entry.h"
#include "output.h"

namespace haft::cli {
namespace {

constexpr std::int64_t kDay = 86400;
constexpr const char* kAction = "list|prune";

// The directory named, or that of HAFT_CACHE; it must be this user's.
Result<std::string> CachePath(const Arguments& arguments) {
  std::string path = arguments.Get("DIR");
  if (path.empty()) path = Environment::Current().Get(variables::kCache).value_or("");
  if (path.empty()) return Failure(UsageError("DIR is missing, and HAFT_CACHE is not set"));
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

Result<UniqueFd> OpenCache(const std::string& path) {
  UniqueFd fd = TRY(OpenFile(path, O_RDONLY | O_DIRECTORY));
  struct stat status;
  if (::fstat(fd.get(), &status) < 0) return Failure(Error::FromErrno(Quoted(path)));
  if (status.st_uid != ::geteuid())
    return Failure(Error::Invalid(fmt::format("{}: belongs to another user", Quoted(path))));
  return fd;
}

std::string Date(std::int64_t seconds) {
  time_t time = seconds;
  tm local = {};
  std::array<char, 32> text = {};
  ::localtime_r(&time, &local);
  ::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &local);
  return text.data();
}

Result<int> List(const std::string& path, const UniqueFd& cache) {
  std::string text;
  std::uint64_t total = 0;
  for (const FoundCacheEntry& entry : FindCacheEntries(cache.get(), path)) {
    std::string size = entry.complete
                           ? fmt::format("{:.1f} MB", static_cast<double>(entry.bytes) / 1e6)
                           : "incomplete";
    text += fmt::format("{:>12}  {}  {:<4}  {} {}\n", size, Date(entry.last_use),
                        IsEntryInUse(cache.get(), entry) ? "used" : "", entry.name, entry.image_id);
    total += entry.bytes;
  }
  text += fmt::format("{:>9.1f} MB  in {}\n", static_cast<double>(total) / 1e6, Quoted(path));
  TRY(Print(text));
  return kOk;
}

Result<int> Prune(const std::string& path, const UniqueFd& cache, std::int64_t days) {
  std::uint64_t freed = 0;
  unsigned removed = 0, used = 0;
  for (const FoundCacheEntry& entry : FindCacheEntries(cache.get(), path)) {
    if (entry.complete && entry.last_use > ::time(nullptr) - days * kDay) continue;
    if (RemoveUnusedEntry(cache.get(), entry)) {
      ++removed;
      freed += entry.bytes;
    } else {
      ++used;
    }
  }
  TRY(Print(fmt::format("{} removed ({:.1f} MB), {} in use\n", removed,
                        static_cast<double>(freed) / 1e6, used)));
  return kOk;
}

void Define(CommandLine& line) {
  line.Value("days", "N", "prune: only what no start has used for N days [all]")
      .Positional({kAction, "DIR"}, 1);
}

Result<int> Run(const Arguments& arguments) {
  std::string action = arguments.Get(kAction);
  if (action != "list" && action != "prune") {
    return Failure(UsageError(fmt::format("{}: neither list nor prune", Quoted(action))));
  }
  std::int64_t days = 0;
  if (arguments.Has("days")) days = TRY(ParseNumber("--days", arguments.Get("days"), 36500));
  std::string path = TRY(CachePath(arguments));
  UniqueFd cache = TRY(OpenCache(path));
  return action == "list" ? List(path, cache) : Prune(path, cache, days);
}

}  // namespace

constinit const Command kCacheCommand = {
    .name = "cache",
    .summary = "list or remove unpacked bundles",
    .synopsis = "list [DIR]\nprune [--days N] [DIR]",
    .description =
        "Shows or removes what bundles have unpacked into DIR [HAFT_CACHE]. What is in use is "
        "never removed.",
    .example =
        "  haft cache list /var/cache/haft\n"
        "  haft cache prune --days 30 /var/cache/haft",
    .define = Define,
    .run = Run,
};

}  // namespace haft::cli
