#include "carrier_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/text.h"

namespace haft {
namespace {

// Of Linux 5.12 and 5.15, whose headers may not be here.
constexpr long kMountSetattr = 442;
constexpr unsigned kMoveMountSetGroup = 0x100;
struct MountAttributes {
  std::uint64_t set, clear, propagation, userns;
};

// Gives the mount whose root `to` is the peer group of the one whose root `from` is.
int SetGroup(int from, int to) {
  return static_cast<int>(
      ::syscall(SYS_move_mount, from, "", to, "",
                kMoveMountSetGroup | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

bool KernelHasSetGroup() {
  return SetGroup(-1, -1) < 0 && errno == EBADF;
}

int SetPropagation(int mount, unsigned long propagation) {
  MountAttributes attributes = {.set = 0, .clear = 0, .propagation = propagation, .userns = 0};
  return static_cast<int>(
      ::syscall(kMountSetattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
}

bool IsMountRoot(int directory) {
  struct statx status;
  return ::statx(directory, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// From `directory` upwards: the first root of a mount, or the root of the process, above which
// nothing is seen.
Result<UniqueFd> ClimbToMountRoot(UniqueFd directory) {
  while (!IsMountRoot(directory.get())) {
    UniqueFd parent(::openat(directory.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat above, here;
    if (!parent || ::fstat(parent.get(), &above) < 0 || ::fstat(directory.get(), &here) < 0)
      return Failure(Error::FromErrno("'..'"));
    const bool same = above.st_dev == here.st_dev && above.st_ino == here.st_ino;
    directory = std::move(parent);
    if (same) break;
  }
  return directory;
}

// The root of this process is a directory like any other. Seen from another root, it has a parent.
Result<UniqueFd> ClimbOutOfChroot(UniqueFd root) {
  const std::string back = fmt::format("/self/fd/{}", root.get());
  if (::access(("/proc" + back).c_str(), F_OK) < 0 || ::chroot("/proc") < 0)
    return Failure(Error::FromErrno("change the root"));
  UniqueFd parent(::openat(root.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto found = parent ? ClimbToMountRoot(std::move(parent)) : Failure(Error::FromErrno("'..'"));
  if (::chroot(back.c_str()) < 0) return Failure(Error::FromErrno("change the root back"));
  return found;
}

Result<UniqueFd> MountRootOf(const std::string& path) {
  UniqueFd root = TRY(ClimbToMountRoot(TRY(OpenFile(path, O_PATH | O_DIRECTORY))));
  if (IsMountRoot(root.get())) return root;
  return ClimbOutOfChroot(std::move(root));
}

// By path, for kernels that have nothing else.
Result<> MakeSlave(std::string path) {
  while (::mount(nullptr, path.c_str(), nullptr, MS_SLAVE, nullptr) < 0) {
    if (errno != EINVAL || path == "/")
      return Failure(Error::FromErrno(fmt::format("make the mount of {} private", Quoted(path))));
    path = DirName(path);
  }
  return {};
}

}  // namespace

Result<CarrierMount> CarrierMount::Find(const std::string& path) {
  CarrierMount carrier;
  if (KernelHasSetGroup()) carrier.hosts_ = TRY(MountRootOf(path));
  return carrier;
}

Result<> CarrierMount::Isolate(const std::string& path) {
  if (!hosts_) return MakeSlave(path);
  UniqueFd own = TRY(MountRootOf(path));
  // Refused in any case, but for another reason where the group may be copied: not yet private.
  const bool may_rejoin = SetGroup(hosts_.get(), own.get()) == 0 || errno != EPERM;
  if (SetPropagation(own.get(), may_rejoin ? MS_PRIVATE : MS_SLAVE) < 0)
    return Failure(Error::FromErrno(fmt::format("make the mount of {} private", Quoted(path))));
  if (may_rejoin) own_ = std::move(own);
  return {};
}

Result<> CarrierMount::Rejoin() {
  if (!own_) return {};
  const UniqueFd own = std::move(own_);
  // EINVAL: the host's is private, there is no group.
  if (SetGroup(hosts_.get(), own.get()) == 0 || errno == EINVAL) return {};
  return Failure(Error::FromErrno("rejoin the peer group of the host's mount"));
}

}  // namespace haft
