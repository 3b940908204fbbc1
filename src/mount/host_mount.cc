#include "haft/mount/host_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>

#include "fusermount.h"
#include "haft/base/path.h"
#include "haft/base/process.h"
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
  struct statx status;  // without asking a server, which may be stopped
  bool special = name.empty() || name == "." || name == ".." ||
                 (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
                          STATX_TYPE, &status) == 0 &&
                  S_ISLNK(status.stx_mode));
  if (::realpath(special ? path.c_str() : parent.c_str(), resolved) == nullptr) {
    return Failure(Error::FromErrno(Quoted(directory)));
  }
  if (special) return std::string(resolved);
  return JoinPath(resolved, name);
}

namespace {

constexpr int kAnswerMilliseconds = 1000;

// Asks in a process of its own, which nobody waits for: while a server is stopped, it cannot be
// killed. A server that does not answer is no dead one.
bool IsDead(const std::string& path) {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return false;
  UniqueFd reading(ends[0]), writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    if (::fork() == 0) {
      // Whoever reads what we print must not wait for it.
      DetachProcess("haft-question", {writing.get()});
      // Not stat: the kernel answers that from its cache without asking the server.
      struct statfs status;
      const bool dead = ::statfs(path.c_str(), &status) < 0 && errno == ENOTCONN;
      [[maybe_unused]] ssize_t ignored = ::write(writing.get(), dead ? "d" : "a", 1);
    }
    ::_exit(0);
  }
  writing.Reset();
  WaitFor(child);
  pollfd answer{.fd = reading.get(), .events = POLLIN, .revents = 0};
  char said = 'a';
  return ::poll(&answer, 1, kAnswerMilliseconds) > 0 && ::read(reading.get(), &said, 1) == 1 &&
         said == 'd';
}

}  // namespace

bool IsHostMount(const std::string& path) {
  bool ours = false;
  for (const MountTableEntry& entry : ReadMountTable("/proc/self/mountinfo")) {
    if (entry.mount_point == path)
      ours = entry.type == format::kFileSystemType;  // the last one is on top
  }
  return ours;
}

Result<HostMount> FindHostMount(const std::string& path) {
  if (!IsHostMount(path)) return HostMount::kNone;
  return IsDead(path) ? HostMount::kDead : HostMount::kAlive;
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
