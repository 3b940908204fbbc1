#include "mount_namespace.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <string_view>

#include "carrier_mount.h"
#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/process_fd.h"
#include "haft/base/text.h"

namespace haft {
namespace {

Error SystemError(std::string_view call, const std::string& path) {
  return Error::FromErrno(fmt::format("{} {}", call, Quoted(path)));
}

Result<> WriteProcFile(const std::string& path, std::string_view text) {
  UniqueFd fd = TRY(OpenFile(path, O_WRONLY));
  if (::write(fd.get(), text.data(), text.size()) < 0) return Failure(SystemError("write", path));
  return {};
}

// The working directory, kept across a change of root: covering the root leaves it below the
// covered one, joining a namespace moves it to the root.
class WorkingDirectory {
 public:
  WorkingDirectory() : fd_(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    char buffer[PATH_MAX];
    if (::getcwd(buffer, sizeof buffer) != nullptr) path_ = buffer;
  }

  // Enters it again by path if that leads to the same directory, so that getcwd() works. Where it
  // does not (deleted, unreadable, covered) the process is in the directory all the same.
  void Restore() const {
    struct stat own, named;
    bool same =
        path_ == "/" || (path_.starts_with('/') && ::stat(path_.c_str(), &named) == 0 &&
                         ::fstatat(fd_ ? fd_.get() : AT_FDCWD, "", &own, AT_EMPTY_PATH) == 0 &&
                         own.st_dev == named.st_dev && own.st_ino == named.st_ino);
    if (same && ::chdir(path_.c_str()) == 0) return;
    if (fd_) [[maybe_unused]]
      int ignored = ::fchdir(fd_.get());
  }

 private:
  UniqueFd fd_;  // none if the process may not enter it again
  std::string path_;
};

// Shows at `to` what is at `from` and below. An automount at `from` is not set off by that, as the
// path of mount(2) would, which then waits for a file server that nobody asked for.
Result<> Bind(const std::string& from, const std::string& to) {
  UniqueFd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, from.c_str(),
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_NO_AUTOMOUNT)));
  if (tree &&
      ::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, to.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0)
    return {};
  // Before Linux 5.2, or forbidden by a filter that does not know these calls.
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0) return {};
  return Failure(SystemError("bind", to));
}

// Makes `to` show what `from` is: a bind of a directory or file, a copy of a symlink. Nothing, if
// it has just been removed.
Result<> Reproduce(const std::string& from, const std::string& to, unsigned char type) {
  struct stat status;
  if (type == DT_UNKNOWN) {
    if (::lstat(from.c_str(), &status) < 0)
      return errno == ENOENT ? Result<>() : Failure(SystemError("stat", from));
    type = IFTODT(status.st_mode);
  }
  if (type == DT_LNK) {
    char target[PATH_MAX];
    ssize_t size = ::readlink(from.c_str(), target, sizeof target - 1);
    if (size < 0) return errno == ENOENT ? Result<>() : Failure(SystemError("readlink", from));
    target[size] = '\0';
    if (::symlink(target, to.c_str()) < 0) return Failure(SystemError("symlink", to));
    return {};
  }
  if (type == DT_DIR) {
    if (::mkdir(to.c_str(), 0755) < 0) return Failure(SystemError("mkdir", to));
  } else {
    TRY(OpenFile(to, O_CREAT | O_EXCL | O_WRONLY, 0600));
  }
  auto bound = Bind(from, to);
  if (bound || bound.error().sys_errno() != ENOENT) return bound;
  if (type == DT_DIR) {
    ::rmdir(to.c_str());
  } else {
    ::unlink(to.c_str());
  }
  return {};
}

// What is mounted on the root: "/" alone is the process's root itself, its ".." is the same with
// what lies on it.
constexpr const char* kCover = "/../";

// Fills directory `to` (of the tmpfs) with what `from` has. The first component of `path` is a
// directory of our own, filled in the same way; the last one stays empty.
Result<> Populate(const std::string& from, const std::string& to, std::string_view path) {
  const auto [own, rest] = SplitOnce(path, '/');
  DirectoryStream stream(from);
  if (!stream && errno != ENOENT && errno != ENOTDIR) return Failure(SystemError("open", from));
  const bool readable(stream);
  while (const dirent* entry = stream.Next()) {
    if (entry->d_name == own) continue;
    TRY(Reproduce(from + "/" + entry->d_name, to + entry->d_name, entry->d_type));
  }
  if (readable && errno != 0) return Failure(SystemError("read", from));
  std::string directory = to + std::string(own);
  if (::mkdir(directory.c_str(), 0755) < 0) return Failure(SystemError("mkdir", directory));
  if (rest.empty()) return {};
  return Populate(from + "/" + std::string(own), directory + "/", rest);
}

}  // namespace

Result<> EnterUserNamespace() {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) < 0) {
    Error error = Error::FromErrno("user namespace");
    if (error.sys_errno() == EPERM) {
      return Failure(std::move(error).Remedy(
          "the host or container forbids user namespaces to this user (sysctl "
          "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, "
          "seccomp)"));
    }
    if (error.sys_errno() == ENOSPC || error.sys_errno() == EUSERS) {
      return Failure(std::move(error).Remedy("raise sysctl user.max_user_namespaces"));
    }
    return Failure(std::move(error));
  }
  // Mapping groups needs setgroups off: else a process could leave groups that forbid it something.
  TRY(WriteProcFile("/proc/self/setgroups", "deny"));
  TRY(WriteProcFile("/proc/self/uid_map", fmt::format("{0} {0} 1", uid)));
  TRY(WriteProcFile("/proc/self/gid_map", fmt::format("{0} {0} 1", gid)));
  return {};
}

Result<> EnterMountNamespace() {
  if (::unshare(CLONE_NEWNS) < 0) {
    Error error = Error::FromErrno("mount namespace");
    if (error.sys_errno() != EPERM) return Failure(std::move(error));
    return Failure(
        std::move(error).Remedy("it needs CAP_SYS_ADMIN (in a container: --cap-add SYS_ADMIN)"));
  }
  return {};
}

Result<> CoverDirectory(const std::string& directory, const std::string& mount_point,
                        CarrierMount& carrier) {
  const WorkingDirectory cwd;
  const ClearUmask umask;
  const bool is_root = directory == "/";
  // On top of the host's directory, also of its root, not in its place: pivot_root looks at every
  // process of the machine, and unmounting what it leaves waits for all CPUs (RCU). Covered, the
  // host's root stays where it is, reachable by no path and shown in no mount table. To the kernel
  // the process is not in a chroot, and who joins the namespace comes out on top.
  const UniqueFd covered = TRY(OpenFile(directory, O_PATH | O_DIRECTORY));
  TRY(carrier.Isolate(directory));
  if (::mount("haft", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0)
    return Failure(SystemError("mount tmpfs on", directory));
  TRY(carrier.Rejoin());
  const std::string from = is_root ? "/" : fmt::format("/proc/self/fd/{}", covered.get());
  const std::string to = is_root ? kCover : directory + "/";
  TRY(Populate(from, to, std::string_view(mount_point).substr(is_root ? 1 : to.size())));
  if (is_root && ::chroot(kCover) < 0) return Failure(SystemError("chroot", kCover));
  // A file written here would be lost with the namespace: better refuse it.
  if (::mount(nullptr, directory.c_str(), nullptr,
              MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) < 0) {
    return Failure(SystemError("make read-only", directory));
  }
  cwd.Restore();
  return {};
}

Result<SavedNamespace> SavedNamespace::Save() {
  UniqueFd mounts = TRY(OpenFile("/proc/self/ns/mnt", O_RDONLY));
  UniqueFd root = TRY(OpenFile("/", O_PATH | O_DIRECTORY));
  UniqueFd cwd = TRY(OpenFile(".", O_PATH | O_DIRECTORY));
  SavedNamespace saved(std::move(mounts), std::move(root), std::move(cwd));
  TRY(saved.Return());
  return saved;
}

Result<> SavedNamespace::Return() const {
  if (::setns(mounts_.get(), CLONE_NEWNS) < 0)
    return Failure(Error::FromErrno("join the namespaces"));
  // What joins a namespace is at its root: from there to ours, the one of a chroot perhaps.
  if (::fchdir(root_.get()) < 0 || ::chroot(".") < 0)
    return Failure(Error::FromErrno("change the root"));
  if (::fchdir(cwd_.get()) < 0) return Failure(Error::FromErrno("working directory"));
  return {};
}

bool MayEnterWorkingDirectory() {
  return ::faccessat(AT_FDCWD, ".", X_OK, AT_EACCESS) == 0 || errno != EACCES;
}

namespace {

// Before Linux 5.8: one namespace after the other.
Result<> JoinByFiles(pid_t process, bool user_namespace) {
  UniqueFd mounts = TRY(OpenFile(fmt::format("/proc/{}/ns/mnt", process), O_RDONLY));
  if (user_namespace) {
    UniqueFd users = TRY(OpenFile(fmt::format("/proc/{}/ns/user", process), O_RDONLY));
    if (::setns(users.get(), CLONE_NEWUSER) < 0)
      return Failure(Error::FromErrno("join the user namespace"));
  }
  if (::setns(mounts.get(), CLONE_NEWNS) < 0)
    return Failure(Error::FromErrno("join the mount namespace"));
  return {};
}

}  // namespace

Result<> JoinNamespaces(pid_t process, bool user_namespace, int root) {
  WorkingDirectory cwd;
  UniqueFd pidfd = OpenProcess(process);
  if (!pidfd || ::setns(pidfd.get(), CLONE_NEWNS | (user_namespace ? CLONE_NEWUSER : 0)) < 0) {
    if (pidfd && errno != EINVAL) return Failure(Error::FromErrno("join the namespaces"));
    TRY(JoinByFiles(process, user_namespace));
  }
  struct stat wanted, current;
  bool there = ::fstat(root, &wanted) == 0 && ::stat("/", &current) == 0 &&
               wanted.st_dev == current.st_dev && wanted.st_ino == current.st_ino;
  if (!there && (::fchdir(root) < 0 || ::chroot(".") < 0))
    return Failure(Error::FromErrno("change the root"));
  cwd.Restore();
  return {};
}

}  // namespace haft
