#include "haft/inspect/join_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/base/process_fd.h"
#include "haft/base/safe_path.h"
#include "haft/base/text.h"
#include "haft/format/image_paths.h"
#include "haft/format/manifest.h"
#include "haft/mount/mount_table.h"
#include "process_facts.h"

namespace haft {
namespace {

// The four ids of a line "Uid:\t1\t1\t1\t1", if they are one and the same.
Result<unsigned> OneId(const std::string& status, std::string_view name) {
  for (std::string_view line : Lines(status)) {
    if (!line.starts_with(name)) continue;
    const auto ids = Words(line.substr(name.size()));
    if (ids.size() != 4) break;
    if (std::ranges::count(ids, ids[0]) == 4) {
      if (auto id = ToNumber<unsigned>(ids[0])) return *id;
      break;
    }
    return Failure(Error(ErrorKind::kUnsupported, "it has the rights of several users", EPERM)
                       .Remedy("name another process of the bundle"));
  }
  return Failure(Error::Corrupt("its status names no user"));
}

bool IsSameFile(int fd, const char* path) {
  struct stat one, other;
  return ::fstat(fd, &one) == 0 && ::stat(path, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

// The mount namespace, and the user namespace that it belongs to if that is not ours: one is asked
// for the other, so that the process cannot change between two questions.
Result<> OpenNamespaces(JoinTarget& target) {
  const std::string mounts = fmt::format("/proc/{}/ns/mnt", target.pid);
  auto opened = OpenFile(mounts, O_RDONLY);
  if (!opened) {
    Error error = std::move(opened).error();
    if (error.sys_errno() != EACCES) return Failure(std::move(error));
    return Failure(std::move(error).Remedy("be root or the user who started it"));
  }
  UniqueFd user(::ioctl(opened->get(), NS_GET_USERNS));
  if (!user) return Failure(Error::FromErrno("its user namespace"));
  if (!IsSameFile(opened->get(), "/proc/self/ns/mnt")) target.mount_namespace = *std::move(opened);
  if (IsSameFile(user.get(), "/proc/self/ns/user")) return {};
  uid_t owner = 0;
  if (::ioctl(user.get(), NS_GET_OWNER_UID, &owner) < 0)
    return Failure(Error::FromErrno("owner of its user namespace"));
  if (owner != target.uid && owner != 0) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("its files are in the hands of user {}", owner), EPERM));
  }
  target.user_namespace = std::move(user);
  return {};
}

// What the process names as its bundle's files: a hint which of those that the kernel shows it is.
std::string NamedMount(pid_t pid) {
  auto environment = ReadWholeFile(fmt::format("/proc/{}/environ", pid));
  if (!environment) return "";
  for (std::string_view entry : Lines(*environment, '\0')) {
    auto [name, value] = SplitOnce(entry, '=');
    if (name != "PYTHONPATH") continue;
    for (std::string_view directory : Split(value, ':')) {
      const auto mount = format::MountOfBootstrap(directory);
      if (mount && format::IsMountPath(*mount)) return std::string(*mount);
    }
  }
  return "";
}

// A mount whose contents this user, or root, decides. "" if there is none.
std::string MountOf(const JoinTarget& target, const std::string& named) {
  std::string last;
  for (const MountTableEntry& mount :
       ReadMountTable(fmt::format("/proc/{}/mountinfo", target.pid))) {
    // In a user namespace of his own a user can mount as whoever he is called there.
    const bool his = mount.user_id && (*mount.user_id == target.uid || *mount.user_id == 0);
    if (mount.type != format::kFileSystemType || !his || !format::IsMountPath(mount.mount_point))
      continue;
    if (mount.mount_point == named) return named;
    last = mount.mount_point;
  }
  // Among those that all of the host can see, none is known to be the one.
  return target.mount_namespace ? last : "";
}

// A directory in which only this user and root can have put what is there.
bool IsOwnTree(const std::string& path) {
  auto tree = OpenSafeDirectory(path);
  struct stat status;
  return tree && tree->path == path && ::fstat(tree->fd.get(), &status) == 0 &&
         status.st_uid == ::geteuid();
}

Result<> FindMount(JoinTarget& target) {
  const std::string named = NamedMount(target.pid);
  target.mount = MountOf(target, named);
  if (!target.mount.empty()) {
    if (target.other_user || named.empty() || named == target.mount) return {};
    target.mount.clear();  // of another bundle
  }
  if (!named.empty() && target.other_user) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("unpacked for user {}, or not a bundle", target.uid), EPERM)
                       .Remedy("run haft as that user"));
  }
  if (!named.empty() && !target.mount_namespace && IsOwnTree(named)) {
    target.mount = named;
    return {};
  }
  return Failure(Error::Invalid("not a process of a bundle")
                     .Remedy("name one that inherited the bundle's PYTHONPATH"));
}

// All that root has in a process and that is not an id.
Result<> GiveUpTheRest() {
  constexpr long kJoinNewKeyring = KEYCTL_JOIN_SESSION_KEYRING;
  ::syscall(SYS_keyctl, kJoinNewKeyring, nullptr);  // a kernel without keyrings has none to keep
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return Failure(Error::FromErrno("give up new privileges"));
  ::umask(022);
  if (::chdir("/") < 0) return Failure(Error::FromErrno("'/'"));
  if (::syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) < 0) {
    for (int fd = STDERR_FILENO + 1; fd < ::sysconf(_SC_OPEN_MAX); ++fd) ::close(fd);
  }
  return {};
}

}  // namespace

Result<JoinTarget> FindJoinTarget(pid_t pid) {
  // Held until all has been read: the number cannot become another process's meanwhile.
  const UniqueFd process = OpenProcess(pid);
  if (!process && errno != ENOSYS) return Failure(Error::FromErrno("cannot be looked at"));
  const std::string status =
      TRY(ReadWholeFile(fmt::format("/proc/{}/status", pid), std::size_t{1} << 20));
  JoinTarget target{.pid = pid, .mount = "", .user_namespace = {}, .mount_namespace = {}};
  target.uid = TRY(OneId(status, "Uid:"));
  target.gid = TRY(OneId(status, "Gid:"));
  target.other_user = target.uid != ::geteuid();
  if (target.other_user && ::geteuid() != 0) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("Permission denied: it belongs to user {}", target.uid), EPERM)
                       .Remedy("be root or that user"));
  }
  TRY(OpenNamespaces(target));
  TRY(FindMount(target));
  pollfd ended{.fd = process.get(), .events = POLLIN};
  if (process && ::poll(&ended, 1, 0) > 0) {
    errno = ESRCH;
    return Failure(Error::FromErrno("cannot be looked at"));
  }
  return target;
}

Result<> JoinProcess(const JoinTarget& target) {
  std::array<char, PATH_MAX> buffer;
  const std::string directory =
      ::getcwd(buffer.data(), buffer.size()) == nullptr ? "" : buffer.data();
  // Before the namespace is entered, which may forbid to change groups.
  if (target.other_user && ::setgroups(0, nullptr) < 0)
    return Failure(Error::FromErrno("drop groups"));
  if (target.user_namespace && ::setns(target.user_namespace.get(), CLONE_NEWUSER) < 0)
    return Failure(Error::FromErrno("enter user namespace"));
  if (target.mount_namespace && ::setns(target.mount_namespace.get(), CLONE_NEWNS) < 0) {
    Error error = Error::FromErrno("enter mount namespace");
    if (error.sys_errno() != EPERM) return Failure(std::move(error));
    return Failure(std::move(error).Remedy("be root or the user who started it"));
  }
  if (target.other_user) {
    TRY(GiveUpTheRest());
    if (::setresgid(target.gid, target.gid, target.gid) < 0 ||
        ::setresuid(target.uid, target.uid, target.uid) < 0)
      return Failure(Error::FromErrno(fmt::format("become user {}", target.uid)));
    return {};
  }
  // The root directory it is in now.
  if (target.mount_namespace && directory.starts_with('/')) [[maybe_unused]]
    int ignored = ::chdir(directory.c_str());
  return {};
}

}  // namespace haft
