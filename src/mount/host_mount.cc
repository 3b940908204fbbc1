#include "haft/mount/host_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <sstream>

#include "fusermount.h"
#include "haft/base/file_io.h"

namespace haft {
namespace {

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 3)), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

Result<std::string> ResolveMountPoint(const std::string& directory) {
  std::string path = directory;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  auto slash = path.rfind('/');
  std::string name = slash == path.npos ? path : path.substr(slash + 1);
  std::string parent = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  char resolved[PATH_MAX];
  struct stat status;
  bool special = name.empty() || name == "." || name == ".." ||
                 (::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode));
  if (::realpath(special ? path.c_str() : parent.c_str(), resolved) == nullptr) {
    return Failure(Error::FromErrno(Quoted(directory)));
  }
  if (special) return std::string(resolved);
  return std::string_view(resolved) == "/" ? "/" + name : fmt::format("{}/{}", resolved, name);
}

Result<HostMount> FindHostMount(const std::string& path) {
  std::istringstream lines(TRY(ReadWholeFile("/proc/self/mountinfo")));
  bool ours = false;
  for (std::string line; std::getline(lines, line);) {
    // ID PARENT DEV ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE SUPEROPTIONS
    std::istringstream words(line);
    std::string id, parent, device, root, mount_point, word, type;
    words >> id >> parent >> device >> root >> mount_point;
    while (words >> word && word != "-") {
    }
    words >> type;
    if (Unescape(mount_point) == path) ours = type == "fuse.haft";  // the last one is on top
  }
  if (!ours) return HostMount::kNone;
  // Not stat: the kernel answers that from its cache without asking the server.
  struct statfs status;
  return ::statfs(path.c_str(), &status) < 0 && errno == ENOTCONN ? HostMount::kDead : HostMount::kAlive;
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
