#include "haft/inspect/join_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>
#include <optional>

#include "haft/base/file_io.h"

namespace haft {
namespace {

// A namespace of a process; none if it is ours too.
Result<UniqueFd> OpenNamespace(pid_t pid, std::string_view kind) {
  UniqueFd theirs = TRY(OpenFile(fmt::format("/proc/{}/ns/{}", pid, kind), O_RDONLY));
  struct stat their_status, our_status;
  if (::fstat(theirs.get(), &their_status) < 0 ||
      ::stat(fmt::format("/proc/self/ns/{}", kind).c_str(), &our_status) < 0) {
    return Failure(Error::FromErrno(fmt::format("{} namespace", kind)));
  }
  bool same = their_status.st_dev == our_status.st_dev && their_status.st_ino == our_status.st_ino;
  return same ? UniqueFd() : std::move(theirs);
}

struct Ids {
  uid_t uid;
  gid_t gid;
};

// The effective ones, as they are seen from here.
Result<Ids> IdsOf(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/status", pid);
  const std::string text = TRY(ReadWholeFile(path, 1u << 20));
  auto second_number = [&](const char* line) -> std::optional<unsigned> {
    auto at = text.find(line);
    unsigned real, effective;
    if (at == text.npos ||
        std::sscanf(text.c_str() + at + std::strlen(line), "%u %u", &real, &effective) != 2)
      return std::nullopt;
    return effective;
  };
  auto uid = second_number("\nUid:"), gid = second_number("\nGid:");
  if (!uid || !gid) return Failure(Error::Corrupt(fmt::format("{}: names no user", Quoted(path))));
  return Ids{.uid = *uid, .gid = *gid};
}

// Before the namespace is entered, which may forbid to change groups.
Result<> DropGroups() {
  if (::setgroups(0, nullptr) < 0) return Failure(Error::FromErrno("drop groups"));
  return {};
}

Result<> SetIds(Ids ids) {
  if (::setresgid(ids.gid, ids.gid, ids.gid) < 0 || ::setresuid(ids.uid, ids.uid, ids.uid) < 0) {
    return Failure(Error::FromErrno(fmt::format("become user {}", ids.uid)));
  }
  return {};
}

}  // namespace

Result<> JoinProcess(pid_t pid) {
  UniqueFd user = TRY(OpenNamespace(pid, "user"));
  UniqueFd mount = TRY(OpenNamespace(pid, "mnt"));
  if (!mount) return {};
  const Ids ids = TRY(IdsOf(pid));
  char buffer[PATH_MAX];
  const std::string directory = ::getcwd(buffer, sizeof buffer) == nullptr ? "" : buffer;
  // Its owner is the only one who may read the mount.
  const bool other_user = user && ids.uid != ::geteuid();
  if (other_user) TRY(DropGroups());
  if (user && ::setns(user.get(), CLONE_NEWUSER) < 0)
    return Failure(Error::FromErrno("enter user namespace"));
  if (::setns(mount.get(), CLONE_NEWNS) < 0) {
    Error error = Error::FromErrno("enter mount namespace");
    if (error.sys_errno() != EPERM) return Failure(std::move(error));
    return Failure(std::move(error).Remedy("be root or the user who started it"));
  }
  if (other_user) TRY(SetIds(ids));
  // The root directory it is in now.
  if (directory.starts_with('/')) [[maybe_unused]]
    int ignored = ::chdir(directory.c_str());
  return {};
}

}  // namespace haft
