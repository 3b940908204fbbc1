// The private view of the host in which a program runs: its own mount namespace, which has one
// mount more than the host's. These calls change the calling process and must be made while it has
// one thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "carrier_mount.h"
#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// Gives an ordinary user the right to mount, for itself only: a new user namespace in which it
// keeps its ids. Every other id shows as nobody, and setuid programs have no power there.
Result<> EnterUserNamespace();

// A new mount namespace: mounts of the host keep arriving, ours reach it (in a new user namespace
// they do not).
Result<> EnterMountNamespace();

// Makes `mount_point` exist as an empty directory without touching the host: covers `directory`,
// which is above it, with a tmpfs that holds what the host has there (symlinks reproduced, files
// and directories bound) and the components of mount_point. It is read-only, and what the host adds
// or replaces in `directory` itself is not seen. The working directory stays what it was. Works in
// a chroot and in an initramfs as well. `carrier` is the mount that carries `directory`. REQUIRES:
// EnterMountNamespace() succeeded; format::IsMountPath(mount_point).
Result<> CoverDirectory(const std::string& directory, const std::string& mount_point,
                        CarrierMount& carrier);

// Moves this process into the mount namespace of `process` (and into its user namespace first) and
// makes `root`, an O_PATH descriptor of a directory in there, its root. The working directory stays
// what it was; it must be one that this process may enter. Nothing has changed after a failure
// (before Linux 5.8: of the first call).
Result<> JoinNamespaces(pid_t process, bool user_namespace, int root);

// Where this process is now (mount namespace, root, working directory), to come back to should it
// have gone somewhere and found nothing. Inherited by nobody.
class SavedNamespace {
 public:
  // Fails, and nothing has changed, if this process could not come back: that is tried, by coming
  // from here to here. The working directory must be one that it may enter.
  static Result<SavedNamespace> Save();
  // The process is back, or, after a failure, where it was.
  Result<> Return() const;

 private:
  SavedNamespace(UniqueFd mounts, UniqueFd root, UniqueFd cwd)
      : mounts_(std::move(mounts)), root_(std::move(root)), cwd_(std::move(cwd)) {}
  UniqueFd mounts_, root_, cwd_;
};

// False: the process is in a directory that it could not enter again (its mode, or that of the
// user, has changed).
bool MayEnterWorkingDirectory();

}  // namespace haft
