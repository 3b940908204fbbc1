#include "extract_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "cleanup.h"
#include "haft/base/limits.h"
#include "haft/base/log.h"
#include "haft/format/bundle_file.h"
#include "haft/format/manifest.h"
#include "haft/image/walk_image.h"
#include "haft/mount/cache_entry.h"
#include "user_directory.h"

namespace haft {
namespace {

constexpr std::uint64_t kRoundingPerFile = 4096;
constexpr std::uint64_t kReserve = 1u << 20;

// Whether something in the image is executed or mapped executable, so that a noexec file system
// will not do.
Result<bool> HoldsMachineCode(const ImageReader& reader) {
  bool found = false;
  auto visit = [&](const DirectoryEntry& entry, const std::string&) -> Result<WalkStep> {
    found = entry.attributes.type == FileType::kFile &&
            ((entry.attributes.mode & 0111) != 0 || entry.name.ends_with(".so") ||
             entry.name.contains(".so."));
    return found ? WalkStep::kStop : WalkStep::kContinue;
  };
  TRY(WalkImage(reader, InodeId::kRoot, {.visit = visit}));
  return found;
}

Result<> CheckRoom(const UserDirectory& location, const format::Trailer& image, bool needs_exec) {
  struct statvfs status;
  if (::fstatvfs(location.fd.get(), &status) < 0)
    return Failure(Error::FromErrno(Quoted(location.path)));
  auto refused = [&](std::string why, int code) {
    return Failure(
        Error(ErrorKind::kUnsupported, fmt::format("{}: {}", Quoted(location.path), why), code));
  };
  if (needs_exec && (status.f_flag & ST_NOEXEC) != 0) return refused("mounted noexec", EACCES);
  std::uint64_t needed = image.content_size + image.inode_count * kRoundingPerFile + kReserve;
  std::uint64_t available = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (available < needed)
    return refused(fmt::format("needs {} MB, has {} MB", needed >> 20, available >> 20), ENOSPC);
  if (status.f_files != 0 && status.f_favail < image.inode_count + 8)
    return refused("too few inodes", ENOSPC);
  return {};
}

// What starts left there whose cleanup process was killed.
void Sweep(const UserDirectory& location, const StepClock& clock) {
  for (const FoundCacheEntry& entry : FindCacheEntries(location.fd.get(), location.path)) {
    if (RemoveUnusedEntry(location.fd.get(), entry))
      clock.Step("leftover {} removed", Quoted(entry.path));
  }
}

Result<CacheEntry> UseLocation(const MountRequest& request, const UserDirectory& location,
                               bool needs_exec) {
  TRY(CheckRoom(location, request.reader.bundle().trailer, needs_exec));
  CacheEntry entry =
      TRY(CacheEntry::Open(location.fd.get(), location.path, request.name(), request.reader));
  // Before the first byte is written, so that it is removed even if this process is killed
  // meanwhile.
  auto guarded = ForkCleanup(entry.tree_path(), {location.fd.get(), entry.fd()}, [&] {
    entry.RemoveIfUnlocked();
    RemoveIfEmpty(location);  // if it was the last one
    return true;
  });
  if (!guarded) {
    entry.RemoveIfUnlocked();
    return Failure(std::move(guarded).error());
  }
  if (entry.state() == CacheEntry::State::kToBeFilled)
    TRY(entry.Fill(request.reader, /*durable=*/false));
  Sweep(location, request.clock);
  return entry;
}

Result<CacheEntry> UseTemporary(const MountRequest& request, const std::string& path,
                                bool needs_exec) {
  UserDirectory location = TRY(OpenUserDirectoryOrBeside(path));
  auto entry = UseLocation(request, location, needs_exec);
  if (!entry) RemoveIfEmpty(location);  // if it is empty
  return entry;
}

Result<CacheEntry> UseCache(const MountRequest& request, bool needs_exec) {
  std::string path = request.settings.cache;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (!format::IsMountPath(path)) {
    return Failure(Error::Invalid(
        fmt::format("HAFT_CACHE={}: not an absolute path of [A-Za-z0-9._/-]", Quoted(path))));
  }
  UserDirectory location =
      TRY_WITHIN(fmt::format("HAFT_CACHE={}", Quoted(path)), OpenUserDirectory(path));
  CacheEntry entry =
      TRY(CacheEntry::Open(location.fd.get(), location.path, request.name(), request.reader));
  if (entry.state() == CacheEntry::State::kComplete) return entry;
  auto filled = CheckRoom(location, request.reader.bundle().trailer, needs_exec);
  if (filled) filled = entry.Fill(request.reader, /*durable=*/true);
  if (filled) return entry;
  return Failure(std::move(filled).error());
}

void Announce(const MountRequest& request, const std::string& path, bool kept) {
  if (request.asked_for) return;
  std::string why = request.failed_before.empty() ? "" : fmt::format(": {}", request.failed_before);
  LogLine(LogLevel::kWarning, fmt::format("{}: unpacked into {}, {}{}; allow one of these modes, "
                                          "or set HAFT_MODE=extract to silence this",
                                          Quoted(request.name()), Quoted(path),
                                          kept ? "kept there" : "until it ends", why));
}

}  // namespace

Result<std::string> ExtractToDirectory(const MountRequest& request) {
  bool needs_exec = TRY(HoldsMachineCode(request.reader));
  if (!request.settings.cache.empty()) {
    CacheEntry entry = TRY(UseCache(request, needs_exec));
    Announce(request, entry.tree_path(), true);
    return entry.tree_path();
  }
  const FileSizeLimit limit(FileSizeLimit::Files::kOnDisk);
  std::string reasons;
  for (const std::string& location : ContentCandidates(request.settings)) {
    auto entry = RetryWhileVanishing([&] { return UseTemporary(request, location, needs_exec); });
    if (entry) {
      Announce(request, entry->tree_path(), false);
      return entry->tree_path();
    }
    request.clock.Step("not unpacked: {}", entry.error().message());
    // Damage and limits of the process are the same everywhere.
    const int code = entry.error().sys_errno();
    if (entry.error().kind() == ErrorKind::kCorrupt || code == EAGAIN || code == EMFILE ||
        code == EFBIG)
      return Failure(std::move(entry).error());
    reasons += fmt::format("{}{}", reasons.empty() ? "" : ", ", entry.error().cause());
  }
  return Failure(
      Error(ErrorKind::kUnsupported, fmt::format("no place to unpack it: {}", reasons), ENOSPC)
          .Remedy(
              "set TMPDIR or HAFT_CACHE to a directory with room where programs may be executed"));
}

}  // namespace haft
