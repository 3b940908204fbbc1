#include "haft/mount/cache_entry.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/process.h"
#include "haft/base/remove_tree.h"
#include "haft/base/text.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "haft/format/manifest.h"
#include "haft/image/extract.h"
#include "haft/mount/directory_users.h"
#include "user_directory.h"

namespace haft {
namespace {

constexpr const char* kMarker = "complete";  // holds the size of all files
constexpr std::size_t kIdDigits = 2 * sizeof(format::Digest);
constexpr int kWaitSeconds = 120;
constexpr int kPollMilliseconds = 20;

bool Lock(const UniqueFd& fd, int how) {
  return ::flock(fd.get(), how | LOCK_NB) == 0;
}

// An entry that was removed while we waited for its lock is a directory without a name.
bool HasName(const UniqueFd& fd) {
  struct stat status;
  return ::fstat(fd.get(), &status) == 0 && status.st_nlink > 0;
}

bool IsIntact(const UniqueFd& entry, const std::string& name, const ImageReader& reader) {
  struct stat status;
  if (::fstatat(entry.get(), kMarker, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
    return false;
  UniqueFd tree = OpenDirectoryAt(entry.get(), name);
  return tree && IsExtractOf(reader, tree.get());
}

// In this order: an entry that is half removed is not complete.
void RemoveLocked(int location, const std::string& entry, const UniqueFd& fd) {
  ::unlinkat(fd.get(), kMarker, 0);
  RemoveContents(fd.get());
  ::unlinkat(location, entry.c_str(), AT_REMOVEDIR);
}

}  // namespace

CacheEntry::CacheEntry(int location, std::string entry, std::string path, std::string name,
                       UniqueFd fd, State state)
    : location_(location),
      entry_(std::move(entry)),
      path_(std::move(path)),
      name_(std::move(name)),
      fd_(std::move(fd)),
      state_(state) {}

Result<CacheEntry> CacheEntry::Open(int location, const std::string& location_path,
                                    const std::string& name, const ImageReader& reader) {
  ClearUmask umask;
  std::string entry = fmt::format("{}-{}", name, format::ToHex(reader.image_id()));
  std::string path = location_path + "/" + entry;
  for (int waited = 0; waited < kWaitSeconds * 1000; waited += kPollMilliseconds) {
    if (::mkdirat(location, entry.c_str(), 0700) < 0 && errno != EEXIST)
      return Failure(Error::FromErrno(Quoted(path)));
    UniqueFd fd = OpenDirectoryAt(location, entry);
    struct stat status;
    if (!fd && errno == ENOENT) continue;  // removed meanwhile
    if (!fd || ::fstat(fd.get(), &status) < 0) return Failure(Error::FromErrno(Quoted(path)));
    if (status.st_uid != ::geteuid()) {
      return Failure(Error(ErrorKind::kUnsupported,
                           fmt::format("{}: belongs to another user", Quoted(path)), EPERM));
    }
    if (Lock(fd, LOCK_SH) && HasName(fd) && IsIntact(fd, name, reader)) {
      ::utimensat(fd.get(), kMarker, nullptr, 0);
      return CacheEntry(location, entry, path, name, std::move(fd), State::kComplete);
    }
    if (Lock(fd, LOCK_EX) && HasName(fd)) {
      // Since the shared lock was tried, another start may have filled it.
      if (!IsIntact(fd, name, reader)) {
        ::fchmod(fd.get(), UserDirectoryMode());
        ::unlinkat(fd.get(), kMarker, 0);
        RemoveContents(fd.get());
        ::fchmod(fd.get(), UserDirectoryMode());
        return CacheEntry(location, entry, path, name, std::move(fd), State::kToBeFilled);
      }
      Lock(fd, LOCK_SH);
      return CacheEntry(location, entry, path, name, std::move(fd), State::kComplete);
    }
    Sleep(std::chrono::milliseconds(kPollMilliseconds));
  }
  return Failure(
      Error(ErrorKind::kSystem,
            fmt::format(
                "{}: another start has not unpacked it within {} s, or it is damaged and in use",
                Quoted(path), kWaitSeconds),
            EAGAIN)
          .Remedy("end the programs that use it and remove it"));
}

Result<> CacheEntry::FillTree(const ImageReader& reader, bool durable) {
  ClearUmask umask;
  if (::mkdirat(fd_.get(), name_.c_str(), 0700) < 0)
    return Failure(Error::FromErrno(Quoted(tree_path())));
  UniqueFd tree = OpenDirectoryAt(fd_.get(), name_);
  if (!tree) return Failure(Error::FromErrno(Quoted(tree_path())));
  TRY(ExtractInto(reader, tree.get(), 0, {}));
  if (durable && ::syncfs(fd_.get()) < 0) return Failure(Error::FromErrno(Quoted(path_)));
  UniqueFd marker(::openat(fd_.get(), "complete.new",
                           O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!marker) return Failure(Error::FromErrno(Quoted(path_)));
  TRY(WriteAll(marker.get(), AsBytes(fmt::format("{}\n", reader.bundle().trailer.content_size))));
  if (::renameat(fd_.get(), "complete.new", fd_.get(), kMarker) < 0)
    return Failure(Error::FromErrno(Quoted(path_)));
  return {};
}

Result<> CacheEntry::Fill(const ImageReader& reader, bool durable) {
  auto filled = FillTree(reader, durable);
  if (!filled) {
    RemoveLocked(location_, entry_, fd_);
    return filled;
  }
  Lock(fd_, LOCK_SH);  // from exclusive to shared nobody can come in between
  state_ = State::kComplete;
  return {};
}

void CacheEntry::RemoveIfUnlocked() {
  if (Lock(fd_, LOCK_EX) && HasName(fd_)) RemoveLocked(location_, entry_, fd_);
}

std::vector<FoundCacheEntry> FindCacheEntries(int location, const std::string& location_path) {
  std::vector<FoundCacheEntry> entries;
  for (const std::string& name : NamesIn(location)) {
    auto dash = name.rfind('-');
    if (dash == name.npos || name.size() - dash - 1 != kIdDigits ||
        !format::IsBundleName(name.substr(0, dash)))
      continue;
    UniqueFd fd = OpenDirectoryAt(location, name);
    if (!fd) continue;
    struct stat status;
    UniqueFd marker(::openat(fd.get(), kMarker, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    char text[32] = {};
    bool complete = marker && ::read(marker.get(), text, sizeof text - 1) > 0;
    if (::fstat(complete ? marker.get() : fd.get(), &status) < 0) continue;
    entries.push_back({.name = name.substr(0, dash),
                       .image_id = name.substr(dash + 1),
                       .path = JoinPath(location_path, name),
                       .bytes = ToNumber<std::uint64_t>(Trim(text)).value_or(0),
                       .last_use = status.st_mtim.tv_sec,
                       .complete = complete});
  }
  std::ranges::sort(entries, {}, &FoundCacheEntry::path);
  return entries;
}

bool IsEntryInUse(int location, const FoundCacheEntry& entry) {
  UniqueFd fd = OpenDirectoryAt(location, std::string(BaseName(entry.path)));
  return fd && (!Lock(fd, LOCK_EX) || HasUser(entry.path));
}

bool RemoveUnusedEntry(int location, const FoundCacheEntry& entry) {
  const std::string name(BaseName(entry.path));
  UniqueFd fd = OpenDirectoryAt(location, name);
  if (!fd) return errno == ENOENT;
  if (!Lock(fd, LOCK_EX) || HasUser(entry.path)) return false;
  RemoveLocked(location, name, fd);
  return !HasName(fd);
}

}  // namespace haft
