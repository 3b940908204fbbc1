#include "haft/server/mount_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/process.h"
#include "haft/base/text.h"

namespace haft {
namespace {

constexpr int kAttempts = 200;
// Closed to everybody: who can open it can lock it. The sticky bit tells it from directories that
// somebody else has made.
constexpr mode_t kMode = 01700;
constexpr int kOpenDirectory = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Nobody but this user can make or remove entries of it.
bool IsOurs(int directory, struct stat& status) {
  return ::fstat(directory, &status) == 0 && status.st_uid == ::geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Neither a mount on it nor a directory that somebody else has made for it.
bool IsOfAStart(const struct stat& directory, const struct stat& parent) {
  return directory.st_dev == parent.st_dev && directory.st_uid == parent.st_uid &&
         (directory.st_mode & ALLPERMS) == kMode;
}

Error SystemError(std::string_view call, const std::string& path) {
  return Error::FromErrno(fmt::format("{} {}", call, Quoted(path)));
}

}  // namespace

Result<MountDirectory> MountDirectory::Make(const std::string& path, bool make_parent) {
  const ClearUmask umask;
  const std::string parent_path(DirName(path));
  const std::string name(BaseName(path)), parent_name(BaseName(parent_path));
  const UniqueFd top = TRY(OpenFile(std::string(DirName(parent_path)), O_PATH | O_DIRECTORY));
  MountDirectory made;
  made.path_ = "../" + name;
  if (make_parent) made.parent_path_ = "../../" + parent_name;
  // Again whenever another start has removed what this one has just found.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    made.found_parent_ = make_parent && ::mkdirat(top.get(), parent_name.c_str(), 0755) < 0;
    if (made.found_parent_ && errno != EEXIST) return Failure(SystemError("mkdir", parent_path));
    const UniqueFd parent(::openat(top.get(), parent_name.c_str(), O_PATH | kOpenDirectory));
    if (!parent && errno == ENOENT && make_parent) continue;
    struct stat around, own;
    if (!parent) return Failure(SystemError("open", parent_path));
    if (!IsOurs(parent.get(), around)) {
      return Failure(Error(ErrorKind::kUnsupported,
                           fmt::format("{}: others may change it", Quoted(parent_path)), EPERM));
    }
    if (::mkdirat(parent.get(), name.c_str(), kMode) < 0 && errno != EEXIST) {
      if (errno == ENOENT && make_parent) continue;
      Error error = SystemError("mkdir", path);
      if (make_parent) ::unlinkat(top.get(), parent_name.c_str(), AT_REMOVEDIR);
      return Failure(std::move(error));
    }
    const UniqueFd found(::openat(parent.get(), name.c_str(), O_PATH | kOpenDirectory));
    if (!found && errno == ENOENT) continue;
    if (!found || ::fstat(found.get(), &own) < 0) return Failure(SystemError("open", path));
    if (!IsOfAStart(own, around)) return MountDirectory();
    made.directory_ = UniqueFd(::openat(found.get(), ".", O_RDONLY | kOpenDirectory));
    if (!made.directory_ && errno == ENOENT) continue;
    if (!made.directory_) return Failure(SystemError("open", path));
    if (::flock(made.directory_.get(), LOCK_SH | LOCK_NB) < 0) {
      if (errno != EWOULDBLOCK) return Failure(SystemError("lock", path));
      Sleep(std::chrono::milliseconds(1));  // somebody is removing it
      continue;
    }
    if (::fstat(made.directory_.get(), &own) == 0 && own.st_nlink > 0) return made;
  }
  return Failure(Error(ErrorKind::kSystem,
                       fmt::format("{}: made and removed again and again", Quoted(path)), EBUSY));
}

MountDirectory MountDirectory::Inherited() const {
  MountDirectory same;
  same.directory_ = UniqueFd(descriptor());
  same.path_ = path_;
  same.parent_path_ = parent_path_;
  same.found_parent_ = found_parent_;
  return same;
}

UniqueFd MountDirectory::OpenAround() const {
  if (!directory_) return {};
  return UniqueFd(::openat(descriptor(), parent_path_.empty() ? ".." : "../..",
                           O_PATH | O_DIRECTORY | O_CLOEXEC));
}

void MountDirectory::RemoveUnusedBeside() const {
  if (!found_parent_ || !directory_) return;
  const UniqueFd parent(::openat(descriptor(), "..", O_RDONLY | kOpenDirectory));
  struct stat around, other;
  if (!parent || ::fstat(parent.get(), &around) < 0) return;
  for (const std::string& name : NamesIn(parent.get())) {
    if (name == BaseName(path_)) continue;
    const UniqueFd path(::openat(parent.get(), name.c_str(), O_PATH | kOpenDirectory));
    if (!path || ::fstat(path.get(), &other) < 0 || !IsOfAStart(other, around)) continue;
    const UniqueFd unused(::openat(path.get(), ".", O_RDONLY | kOpenDirectory));
    if (unused && ::flock(unused.get(), LOCK_EX | LOCK_NB) == 0)
      ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
  }
}

void MountDirectory::Remove() const {
  if (!directory_ || ::flock(descriptor(), LOCK_EX | LOCK_NB) < 0) return;
  ::unlinkat(descriptor(), path_.c_str(), AT_REMOVEDIR);
  if (!parent_path_.empty()) ::unlinkat(descriptor(), parent_path_.c_str(), AT_REMOVEDIR);
}

}  // namespace haft
