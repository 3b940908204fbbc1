#include "haft/mount/runtime_directory.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "haft/base/path.h"
#include "haft/format/image_paths.h"

namespace haft {

std::string RuntimeDirectory(const std::string& mount_point) {
  return JoinPath(DirName(mount_point), format::kRuntimeDirectory);
}

Result<> MakeRuntimeDirectory(const std::string& mount_point) {
  const std::string path = RuntimeDirectory(mount_point);
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return Failure(Error::FromErrno(fmt::format("mkdir {}", Quoted(path))));
}

Result<> MountRuntimeDirectory(const std::string& mount_point) {
  const std::string path = RuntimeDirectory(mount_point);
  const std::string parent(DirName(path));
  struct stat status;
  struct statfs root;
  // Our root is a read-only tmpfs: nobody can put a symlink there in between.
  const bool ours = ::statfs(parent.c_str(), &root) == 0 && root.f_type == TMPFS_MAGIC &&
                    (root.f_flags & ST_RDONLY) != 0;
  if (!ours || ::lstat(path.c_str(), &status) < 0 || !S_ISDIR(status.st_mode)) return {};
  if (::mount("haft", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=0700,size=16m") < 0) {
    return Failure(Error::FromErrno(fmt::format("mount tmpfs on {}", Quoted(path))));
  }
  return {};
}

}  // namespace haft
