#include "haft/mount/host_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "fusermount.h"
#include "haft/base/path.h"
#include "haft/format/image_paths.h"
#include "haft/mount/mount_table.h"

namespace haft {

Result<std::string> ResolveMountPoint(const std::string& directory) {
  std::string path = directory;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const std::string name(BaseName(path));
  std::string parent(DirName(path));
  if (parent.empty()) parent = ".";
  char resolved[PATH_MAX];
  struct stat status;
  bool special = name.empty() || name == "." || name == ".." ||
                 (::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode));
  if (::realpath(special ? path.c_str() : parent.c_str(), resolved) == nullptr) {
    return Failure(Error::FromErrno(Quoted(directory)));
  }
  if (special) return std::string(resolved);
  return JoinPath(resolved, name);
}

Result<HostMount> FindHostMount(const std::string& path) {
  bool ours = false;
  for (const MountTableEntry& entry : ReadMountTable("/proc/self/mountinfo")) {
    if (entry.mount_point == path)
      ours = entry.type == format::kFileSystemType;  // the last one is on top
  }
  if (!ours) return HostMount::kNone;
  // Not stat: the kernel answers that from its cache without asking the server.
  struct statfs status;
  return ::statfs(path.c_str(), &status) < 0 && errno == ENOTCONN ? HostMount::kDead
                                                                  : HostMount::kAlive;
}

Result<> Unmount(const std::string& path, UnmountHow how) {
  int flags = UMOUNT_NOFOLLOW | (how == UnmountHow::kLazily ? MNT_DETACH : 0);
  if (::umount2(path.c_str(), flags) == 0) return {};
  if (errno == EPERM && ::geteuid() != 0) return UnmountByFusermount(path, how);
  Error error = Error::FromErrno(fmt::format("unmount {}", Quoted(path)));
  if (error.sys_errno() != EBUSY) return Failure(std::move(error));
  return Failure(std::move(error).Remedy("end the programs that use it, or use --lazy"));
}

}  // namespace haft
