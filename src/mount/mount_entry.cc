#include "mount_entry.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/path.h"
#include "haft/base/process.h"
#include "haft/format/digest.h"
#include "haft/format/manifest.h"
#include "haft/mount/directory_users.h"

namespace haft {
namespace {

constexpr std::string_view kPrivatePrefix = "m";
constexpr std::size_t kPrivateLetters = 8;
constexpr std::size_t kIdDigits = 32;  // of an image's, in a name: enough that none is met twice
constexpr const char* kLockFile = "lock";
constexpr int kMaxSwept = 16;  // by one start
constexpr int kWaitMilliseconds = 10'000;
constexpr int kPollMilliseconds = 2;

bool TryToLock(int fd, int how) {
  return ::flock(fd, how | LOCK_NB) == 0;
}

// False after ten seconds: whoever has it is stopped, or waits for a server that is.
bool WaitForLock(int fd, int how) {
  for (int waited = 0; !TryToLock(fd, how); waited += kPollMilliseconds) {
    if (waited >= kWaitMilliseconds) return false;
    Sleep(std::chrono::milliseconds(kPollMilliseconds));
  }
  return true;
}

bool HasName(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 && status.st_nlink > 0;
}

// The bundle's name in the name of a shared entry; "" if it is none.
std::string NameOfShared(const std::string& entry) {
  const auto dash = entry.rfind('-');
  if (dash == entry.npos || entry.size() - dash - 1 != kIdDigits) return "";
  if (entry.find_first_not_of("0123456789abcdef", dash + 1) != entry.npos) return "";
  std::string name = entry.substr(0, dash);
  return format::IsBundleName(name) ? name : "";
}

bool IsPrivate(const std::string& entry) {
  return entry.starts_with(kPrivatePrefix) &&
         entry.size() == kPrivatePrefix.size() + kPrivateLetters;
}

}  // namespace

Result<MountEntry> MountEntry::OpenShared(const UserDirectory& location, const std::string& name,
                                          const ImageReader& reader) {
  ClearUmask umask;
  const std::string entry =
      fmt::format("{}-{}", name, format::ToHex(reader.image_id()).substr(0, kIdDigits));
  UserDirectory directory{.path = JoinPath(location.path, entry), .fd = {}};
  if (::mkdirat(location.fd.get(), entry.c_str(), UserDirectoryMode()) < 0 && errno != EEXIST)
    return Failure(Error::FromErrno(Quoted(directory.path)));
  directory.fd = OpenDirectoryAt(location.fd.get(), entry);
  struct stat status;
  if (!directory.fd || ::fstat(directory.fd.get(), &status) < 0)
    return Failure(Error::FromErrno(Quoted(directory.path)));
  if (status.st_uid != ::geteuid()) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("{}: belongs to another user", Quoted(directory.path)),
                         EPERM));
  }
  return MountEntry(location.fd.get(), std::move(directory), name);
}

Result<MountEntry> MountEntry::MakePrivate(const UserDirectory& location, const std::string& name) {
  UserDirectory directory = TRY(MakeLockedDirectory(location, std::string(kPrivatePrefix)));
  return MountEntry(location.fd.get(), std::move(directory), name);
}

Result<> MountEntry::Join() {
  if (!WaitForLock(fd(), LOCK_SH)) {
    return Failure(Error(
        ErrorKind::kSystem,
        fmt::format("{}: another process does not remove it in 10 s", Quoted(directory_.path)),
        EAGAIN));
  }
  if (HasName(fd())) return {};
  return Failure(Error::FromErrno(Quoted(directory_.path), ENOENT));
}

Result<UniqueFd> MountEntry::LockMount() const {
  UniqueFd lock(
      ::openat(fd(), kLockFile, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!lock) return Failure(Error::FromErrno(Quoted(directory_.path)));
  if (WaitForLock(lock.get(), LOCK_EX)) return lock;
  return Failure(Error(
      ErrorKind::kSystem,
      fmt::format("{}: another start does not mount it in 10 s", Quoted(directory_.path)), EAGAIN));
}

Result<HostMount> MountEntry::State() const {
  struct stat entry, point;
  const auto failed = [&] { return Failure(Error::FromErrno(Quoted(mount_path()))); };
  if (::fstat(fd(), &entry) < 0) return failed();
  if (::fstatat(fd(), name_.c_str(), &point, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return HostMount::kNone;
    if (errno == ENOTCONN) return HostMount::kDead;
    return failed();
  }
  if (point.st_dev == entry.st_dev) return HostMount::kNone;
  // The kernel answers stat from its cache, without asking the server.
  struct statfs status;
  if (::statfs(mount_path().c_str(), &status) == 0) return HostMount::kAlive;
  if (errno == ENOTCONN) return HostMount::kDead;
  return failed();
}

Result<> MountEntry::MakeMountPoint() const {
  ClearUmask umask;
  if (::mkdirat(fd(), name_.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return Failure(Error::FromErrno(Quoted(mount_path())));
}

bool MountEntry::BecomeLastUser() {
  // Gone, its path leads to what another start has made.
  return TryToLock(fd(), LOCK_EX) && HasName(fd());
}

void MountEntry::Rejoin() {
  while (::flock(fd(), LOCK_SH) < 0 && errno == EINTR) {
  }
}

bool MountEntry::Remove() {
  const std::string path = mount_path();
  auto mount = FindHostMount(path);
  if (mount && *mount != HostMount::kNone) {
    // A dead one is useless to whoever is still in it; a living one is busy as long as somebody is.
    auto how = *mount == HostMount::kDead ? UnmountHow::kLazily : UnmountHow::kUnlessBusy;
    if (!Unmount(path, how)) return false;
  }
  ::unlinkat(fd(), name_.c_str(), AT_REMOVEDIR);
  ::unlinkat(fd(), kLockFile, 0);
  ::unlinkat(location_, std::string(BaseName(directory_.path)).c_str(), AT_REMOVEDIR);
  return true;
}

std::vector<std::string> MountEntry::Sweep(const UserDirectory& location) {
  std::vector<std::string> removed;
  int swept = 0;
  for (const std::string& entry : NamesIn(location.fd.get())) {
    if (!IsPrivate(entry) && NameOfShared(entry).empty()) continue;
    const std::string path = JoinPath(location.path, entry);
    UniqueFd fd = OpenDirectoryAt(location.fd.get(), entry);
    if (!fd || !TryToLock(fd.get(), LOCK_EX)) continue;  // its start or cleanup process is alive
    if (++swept > kMaxSwept) break;
    if (HasUser(path)) continue;
    std::vector<std::string> names = NamesIn(fd.get());
    std::erase(names, kLockFile);
    const std::string name = names.empty() ? "none" : names.front();
    MountEntry left(location.fd.get(), {.path = path, .fd = std::move(fd)}, name);
    if (left.BecomeLastUser() && left.Remove()) removed.push_back(path);
  }
  return removed;
}

}  // namespace haft
