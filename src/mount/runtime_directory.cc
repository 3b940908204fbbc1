#include "runtime_directory.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/format/image_paths.h"

namespace haft {

Result<> MountRuntimeDirectory(const std::string& mount_point) {
  const std::string path = JoinPath(mount_point, format::kRuntimeDirectory);
  struct stat status;
  if (::lstat(path.c_str(), &status) < 0 || !S_ISDIR(status.st_mode)) return {};
  if (::mount("haft", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=0700,size=16m") < 0) {
    return Failure(Error::FromErrno(fmt::format("mount tmpfs on {}", Quoted(path))));
  }
  return {};
}

}  // namespace haft
