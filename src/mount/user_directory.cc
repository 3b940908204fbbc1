#include "user_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/path.h"
#include "haft/base/safe_path.h"
#include "haft/format/manifest.h"

namespace haft {
namespace {

constexpr std::size_t kMaxDirectoryPath = 512;
constexpr unsigned kRandomLetters = 8;

Error Unsafe(const std::string& path, std::string_view why) {
  return Error(ErrorKind::kUnsupported, fmt::format("{}: {}", Quoted(path), why), EPERM);
}

// Every directory on the way can be passed by everybody.
bool IsReachableByOthers(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    struct stat status;
    if (::stat(path.substr(0, end).c_str(), &status) < 0 || (status.st_mode & S_IXOTH) == 0)
      return false;
    if (end == path.npos) return true;
  }
}

// A directory named by the environment, if it is usable as a part of paths.
void AddFromEnvironment(std::vector<std::string>& candidates, std::string_view text,
                        std::string_view name) {
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  if (text.size() <= kMaxDirectoryPath && format::IsMountPath(text))
    candidates.push_back(fmt::format("{}/{}", text, name));
}

// Opens or makes it.
Result<UserDirectory> OpenBelow(const SafePath& parent, const std::string& name) {
  UserDirectory directory{.path = JoinPath(parent.path, name), .fd = {}};
  if (!format::IsMountPath(directory.path))
    return Failure(Unsafe(directory.path, "has odd characters"));
  ClearUmask umask;
  const bool made = ::mkdirat(parent.fd.get(), name.c_str(), UserDirectoryMode()) == 0;
  if (!made && errno != EEXIST) return Failure(Error::FromErrno(Quoted(directory.path)));
  directory.fd = OpenDirectoryAt(parent.fd.get(), name);
  struct stat status;
  if (!directory.fd || ::fstat(directory.fd.get(), &status) < 0)
    return Failure(Error::FromErrno(Quoted(directory.path)));
  if (status.st_uid != ::geteuid())
    return Failure(Unsafe(directory.path, "belongs to another user"));
  if (!made && (status.st_mode & 0777 & ~UserDirectoryMode()) != 0) {
    return Failure(Unsafe(directory.path, "others may use it")
                       .Remedy(fmt::format("chmod {:o} it", UserDirectoryMode())));
  }
  if (::geteuid() == 0 && !IsReachableByOthers(directory.path)) {
    return Failure(Unsafe(directory.path, "cannot be reached by other users"));
  }
  return directory;
}

// Whether somebody else has made something of this name, or it is no directory.
bool IsTaken(const SafePath& parent, const std::string& name) {
  struct stat status;
  return ::fstatat(parent.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid());
}

}  // namespace

unsigned UserDirectoryMode() {
  return ::geteuid() == 0 ? 0755 : 0700;
}

Result<UserDirectory> OpenUserDirectory(const std::string& path) {
  const SafePath parent = TRY(OpenSafeDirectory(std::string(DirName(path))));
  return OpenBelow(parent, std::string(BaseName(path)));
}

Result<UserDirectory> OpenUserDirectoryOrBeside(const std::string& path) {
  const SafePath parent = TRY(OpenSafeDirectory(std::string(DirName(path))));
  const std::string name(BaseName(path));
  auto opened = OpenBelow(parent, name);
  if (opened || !IsTaken(parent, name)) return opened;
  const std::string prefix = name + "-";
  for (const std::string& beside : NamesIn(parent.fd.get())) {
    if (!beside.starts_with(prefix) || beside.size() != prefix.size() + kRandomLetters) continue;
    if (IsTaken(parent, beside)) continue;
    if (auto ours = OpenBelow(parent, beside)) return ours;
  }
  ClearUmask umask;
  return OpenBelow(parent, TRY_WITHIN(Quoted(parent.path),
                                      MakeDirectoryAt(parent.fd.get(), prefix, kRandomLetters,
                                                      UserDirectoryMode())));
}

std::vector<std::string> MountPointCandidates(const MountSettings& settings) {
  std::vector<std::string> candidates;
  uid_t uid = ::geteuid();
  if (uid == 0) {
    candidates.push_back("/run/haft");
  } else {
    AddFromEnvironment(candidates, settings.runtime_directory, "haft");
  }
  for (std::string_view location : {"/tmp", "/var/tmp", "/dev/shm"})
    candidates.push_back(fmt::format("{}/haft-{}", location, uid));
  return candidates;
}

std::vector<std::string> ContentCandidates(const MountSettings& settings) {
  std::vector<std::string> candidates;
  std::string name = fmt::format("haft-{}", ::geteuid());
  AddFromEnvironment(candidates, settings.temporary, name);
  for (std::string_view location : {"/tmp", "/var/tmp"})
    candidates.push_back(fmt::format("{}/{}", location, name));
  if (::geteuid() == 0) {
    candidates.push_back("/run/haft");
  } else {
    AddFromEnvironment(candidates, settings.runtime_directory, "haft");
  }
  candidates.push_back(fmt::format("/dev/shm/{}", name));
  return candidates;
}

Result<UserDirectory> MakeLockedDirectory(const UserDirectory& parent, const std::string& prefix) {
  ClearUmask umask;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::string name = TRY_WITHIN(
        Quoted(parent.path), MakeDirectoryAt(parent.fd.get(), prefix, kRandomLetters, 0700));
    UserDirectory made{.path = parent.path + "/" + name, .fd = {}};
    made.fd = OpenDirectoryAt(parent.fd.get(), name);
    // Between the two a sweeper may have taken it for a leftover.
    struct stat status;
    if (!made.fd || ::flock(made.fd.get(), LOCK_SH | LOCK_NB) < 0 ||
        ::fstat(made.fd.get(), &status) < 0 || status.st_nlink == 0) {
      continue;
    }
    ::fchmod(made.fd.get(), UserDirectoryMode());
    return made;
  }
  return Failure(
      Error(ErrorKind::kSystem, fmt::format("{}: no free name", Quoted(parent.path)), EEXIST));
}

void RemoveIfEmpty(const UserDirectory& directory) {
  struct stat here, there;
  if (::fstat(directory.fd.get(), &here) < 0 || ::lstat(directory.path.c_str(), &there) < 0) return;
  if (here.st_dev == there.st_dev && here.st_ino == there.st_ino) ::rmdir(directory.path.c_str());
}

}  // namespace haft
