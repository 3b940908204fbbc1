#include "fuse_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "haft/format/image_paths.h"

namespace haft {
namespace {

const dev_t kFuseDevice = makedev(10, 229);

}  // namespace

Result<UniqueFd> OpenFuseDevice() {
  UniqueFd fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (fd) {
    struct stat status;
    if (::fstat(fd.get(), &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == kFuseDevice)
      return fd;
    return Failure(Error(ErrorKind::kUnsupported, "/dev/fuse: not the FUSE device", ENODEV)
                       .Remedy("make it anew: rm /dev/fuse; mknod -m 666 /dev/fuse c 10 229"));
  }
  Error error = Error::FromErrno("/dev/fuse");
  switch (error.sys_errno()) {
    case ENOENT:
      return Failure(std::move(error).Remedy(
          "load the fuse kernel module, or give the container the device (--device /dev/fuse)"));
    case EACCES:
      return Failure(std::move(error).Remedy("let this user open it: chmod 666 /dev/fuse"));
    case ENXIO:
    case ENODEV:
      return Failure(std::move(error).Remedy("load the fuse kernel module: modprobe fuse"));
    case EPERM:
      return Failure(std::move(error).Remedy(
          "the container's device rules forbid it: start it with --device /dev/fuse"));
    default:
      return Failure(std::move(error));
  }
}

Result<> MountFuse(int device, const std::string& path, const FuseMountOptions& options) {
  // Nothing a user can choose goes into this string or into the source name: mount options have
  // been smuggled in through such names.
  std::string data =
      fmt::format("fd={},rootmode={:o},user_id={},group_id={},default_permissions{}", device,
                  S_IFDIR, options.uid, options.gid, options.allow_other ? ",allow_other" : "");
  if (::mount("haft", path.c_str(), format::kFileSystemType.data(),
              MS_RDONLY | MS_NOSUID | MS_NODEV, data.c_str()) < 0) {
    return Failure(Error::FromErrno(fmt::format("mount {}", Quoted(path))));
  }
  return {};
}

}  // namespace haft
