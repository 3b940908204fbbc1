#include "haft/inspect/running_bundles.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/process.h"
#include "haft/base/text.h"
#include "haft/format/image_paths.h"
#include "haft/format/manifest.h"
#include "haft/mount/directory_users.h"
#include "haft/mount/mount_table.h"
#include "process_facts.h"

namespace haft {
namespace {

constexpr int kAnswerMilliseconds = 1000;
constexpr std::size_t kMaxStatistics = 65536;

struct Process {
  pid_t pid;
  uid_t uid;
  gid_t gid;
  double age;                // seconds
  std::string namespace_id;  // of its mounts; "" if it may not be looked at
};

// Seconds since a process began.
double AgeOf(const std::string& directory) {
  auto text = ReadWholeFile(directory + "/stat", 4096);
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  if (!text) return 0;
  double began = StartTicks(*text) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return std::max(
      0.0, static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - began);
}

// All that this user may look at, the oldest first.
std::vector<Process> Processes() {
  std::vector<Process> processes;
  for (pid_t pid : AllProcesses()) {
    std::string directory = fmt::format("/proc/{}", pid);
    auto comm = ReadWholeFile(directory + "/comm", 64);
    struct stat status;
    if (!comm || comm->starts_with("haft-") || ::stat(directory.c_str(), &status) < 0) continue;
    char target[64] = {};
    if (::readlink((directory + "/ns/mnt").c_str(), target, sizeof target - 1) <= 0) continue;
    processes.push_back({.pid = pid,
                         .uid = status.st_uid,
                         .gid = status.st_gid,
                         .age = AgeOf(directory),
                         .namespace_id = target});
  }
  std::ranges::stable_sort(processes,
                           [](const Process& a, const Process& b) { return a.age > b.age; });
  return processes;
}

bool IsOurs(const Process& process, const char* kind) {
  char ours[64] = {}, theirs[64] = {};
  return ::readlink(fmt::format("/proc/self/ns/{}", kind).c_str(), ours, sizeof ours - 1) > 0 &&
         ::readlink(fmt::format("/proc/{}/ns/{}", process.pid, kind).c_str(), theirs,
                    sizeof theirs - 1) > 0 &&
         std::string_view(ours) == theirs;
}

struct User {
  uid_t uid;
  gid_t gid;
};

// In a grandchild: becomes that user, who may read the mount, and writes what the statistics say.
// What it finds there may be anything: only a file of the mount itself is read.
[[noreturn]] void SendStatistics(const std::string& where, const MountTableEntry& mount, User user,
                                 const UniqueFd& writing) {
  if (::geteuid() == 0 && user.uid != 0 &&
      (::setgroups(0, nullptr) < 0 || ::setresgid(user.gid, user.gid, user.gid) < 0 ||
       ::setresuid(user.uid, user.uid, user.uid) < 0))
    ::_exit(1);
  const UniqueFd root(::open(where.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how = {};
  how.flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const std::string path = JoinPath(mount.mount_point, format::kStatsPath);
  const UniqueFd file(
      static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  struct stat status;
  if (!file || ::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode) ||
      fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev)) != mount.device)
    ::_exit(1);
  std::string text(kMaxStatistics, '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size > 0) {
    text.resize(static_cast<std::size_t>(size));
    static_cast<void>(WriteAll(writing.get(), AsBytes(text)).has_value());
  }
  ::_exit(0);
}

// Asks as `user`, and waits a second at most: the server may be stopped, and whoever waits for it
// cannot be killed. It is nobody's child.
std::optional<std::string> ReadStatistics(const Process& process, const MountTableEntry& mount,
                                          User user) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return std::nullopt;
  UniqueFd reading(ends[0]), writing(ends[1]);
  // In our own namespace the oldest process need not be one of the mount's user.
  const std::string where =
      IsOurs(process, "mnt") ? "/" : fmt::format("/proc/{}/root", process.pid);
  const pid_t child = ::fork();
  if (child < 0) return std::nullopt;
  if (child == 0) {
    if (::fork() == 0) {
      // Whoever reads what we print must not wait for it.
      DetachProcess("haft-question", {writing.get()});
      SendStatistics(where, mount, user, writing);
    }
    ::_exit(0);
  }
  writing.Reset();
  WaitFor(child);
  std::string text;
  char buffer[4096];
  const std::uint64_t begin = MonotonicNow();
  for (pollfd answer{.fd = reading.get(), .events = POLLIN, .revents = 0};
       text.size() < kMaxStatistics;) {
    const auto waited = static_cast<int>((MonotonicNow() - begin) / 1'000'000);
    if (waited >= kAnswerMilliseconds || ::poll(&answer, 1, kAnswerMilliseconds - waited) <= 0)
      break;
    ssize_t n = ::read(reading.get(), buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  if (text.empty()) return std::nullopt;
  return text;
}

// Whose mount it is. What the table says of a mount in a user namespace is what its owner calls
// himself there.
std::optional<User> OwnerOf(const Process& process, const MountTableEntry& mount) {
  UniqueFd mounts(
      ::open(fmt::format("/proc/{}/ns/mnt", process.pid).c_str(), O_RDONLY | O_CLOEXEC));
  UniqueFd users(mounts ? ::ioctl(mounts.get(), NS_GET_USERNS) : -1);
  struct stat theirs, ours;
  if (!users || ::fstat(users.get(), &theirs) < 0 || ::stat("/proc/self/ns/user", &ours) < 0)
    return std::nullopt;
  if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino)
    return User{.uid = mount.user_id.value_or(0), .gid = mount.group_id.value_or(0)};
  uid_t owner = 0;
  if (::ioctl(users.get(), NS_GET_OWNER_UID, &owner) < 0) return std::nullopt;
  return User{.uid = owner, .gid = process.gid};
}

// If the server does not tell.
std::string ModeByNamespaces(const Process& process) {
  return IsOurs(process, "mnt") ? "mount" : IsOurs(process, "user") ? "namespace" : "userns";
}

// A mount in the namespace of `process`.
RunningBundle DescribeMount(const Process& process, const MountTableEntry& mount,
                            const std::vector<Process>& all) {
  RunningBundle bundle{.name = std::string(BaseName(mount.mount_point)),
                       .image_id = "",
                       .mode = "",
                       .mount = mount.mount_point};
  const auto owner = OwnerOf(process, mount);
  if (owner) {
    bundle.own = owner->uid == ::geteuid();
    auto text = ReadStatistics(process, mount, *owner);
    if (text) ReadFigures(bundle, *text);
  }
  if (bundle.mode.empty()) bundle.mode = ModeByNamespaces(process);
  bool shared =
      bundle.mode == "mount" || bundle.mode == "fusermount";  // its namespace holds others, too
  std::vector<pid_t> users = shared ? FindUsers(mount.mount_point, owner ? owner->uid : ::geteuid())
                                    : std::vector<pid_t>{};
  for (const Process& other : all) {
    bool uses = shared ? std::ranges::find(users, other.pid) != users.end()
                       : other.namespace_id == process.namespace_id;
    if (uses) bundle.pids.push_back(other.pid);
    if (uses && bundle.pids.size() == 1) bundle.uptime = std::max(bundle.uptime, other.age);
  }
  return bundle;
}

}  // namespace

Result<std::vector<RunningBundle>> FindRunningBundles() {
  std::vector<Process> processes = Processes();
  std::map<std::string, RunningBundle> bundles;  // by device, or tree
  std::map<std::string, bool> seen;              // namespaces
  for (const Process& process : processes) {
    if (::geteuid() != 0 && process.uid != ::geteuid()) continue;
    if (!std::exchange(seen[process.namespace_id], true)) {
      for (const MountTableEntry& mount :
           ReadMountTable(fmt::format("/proc/{}/mountinfo", process.pid))) {
        if (mount.type != format::kFileSystemType || bundles.contains(mount.device)) continue;
        if (::geteuid() != 0 && mount.user_id && *mount.user_id != ::geteuid()) continue;
        bundles.emplace(mount.device, DescribeMount(process, mount, processes));
      }
    }
    auto environ = ReadWholeFile(fmt::format("/proc/{}/environ", process.pid));
    if (std::string tree = ExtractedTree(environ ? *environ : ""); !tree.empty()) {
      auto [bundle, is_new] = bundles.try_emplace(tree);
      if (is_new) {
        const std::string_view entry = BaseName(DirName(tree));
        bundle->second = {.name = std::string(BaseName(tree)),
                          .image_id = std::string(entry.substr(entry.rfind('-') + 1)),
                          .mode = "extract",
                          .mount = tree};
        bundle->second.uptime = process.age;
        bundle->second.own = process.uid == ::geteuid();
      }
      bundle->second.pids.push_back(process.pid);
    }
  }
  std::vector<RunningBundle> found;
  for (auto& [key, bundle] : bundles) found.push_back(std::move(bundle));
  std::ranges::stable_sort(
      found, [](const RunningBundle& a, const RunningBundle& b) { return a.uptime > b.uptime; });
  return found;
}

}  // namespace haft
