#include "fusermount_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fusermount.h"
#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/path.h"
#include "haft/mount/directory_users.h"
#include "haft/mount/host_mount.h"
#include "haft/server/server_process.h"
#include "user_directory.h"

namespace haft {
namespace {

constexpr std::string_view kPrefix = "m";
constexpr int kMaxSwept = 16;  // by one start

// Unmounts and removes LOCATION/ENTRY/NAME and LOCATION/ENTRY. False: it is still in use.
bool RemoveMount(const UserDirectory& location, const std::string& entry, const std::string& path) {
  auto mount = FindHostMount(path);
  if (mount && *mount != HostMount::kNone) {
    // A dead one is useless to whoever is still in it; a living one is busy as long as somebody is.
    auto how = *mount == HostMount::kDead ? UnmountHow::kLazily : UnmountHow::kUnlessBusy;
    if (!Unmount(path, how)) return false;
  }
  if (UniqueFd directory = OpenDirectoryAt(location.fd.get(), entry))
    ::unlinkat(directory.get(), std::string(BaseName(path)).c_str(), AT_REMOVEDIR);
  ::unlinkat(location.fd.get(), entry.c_str(), AT_REMOVEDIR);
  RemoveIfEmpty(location);  // if it was the last one
  return true;
}

// Mounts that earlier starts left because all their processes were killed.
void Sweep(const UserDirectory& location, const StepClock& clock) {
  int swept = 0;
  for (const std::string& entry : NamesIn(location.fd.get())) {
    if (!entry.starts_with(kPrefix) || entry.size() != kPrefix.size() + 8) continue;
    UniqueFd fd = OpenDirectoryAt(location.fd.get(), entry);
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) < 0)
      continue;  // its start or its cleanup process is alive
    if (++swept > kMaxSwept) return;
    std::string path = fmt::format("{}/{}", location.path, entry);
    if (HasUser(path)) continue;
    bool removed = true;
    for (const std::string& name : NamesIn(fd.get()))
      removed = RemoveMount(location, entry, path + "/" + name) && removed;
    ::unlinkat(location.fd.get(), entry.c_str(), AT_REMOVEDIR);  // if it was empty
    clock.Step("leftover {} {}", Quoted(path), removed ? "removed" : "is in use");
  }
}

struct MountLocation {
  UserDirectory location;
  UserDirectory entry;
};

Result<MountLocation> MakeMountLocation(const std::string& path, const StepClock& clock) {
  UserDirectory location = TRY(OpenUserDirectoryOrBeside(path));
  Sweep(location, clock);
  UserDirectory entry = TRY(MakeLockedDirectory(location, std::string(kPrefix)));
  return MountLocation{.location = std::move(location), .entry = std::move(entry)};
}

// In the first place that will do.
Result<MountLocation> MakeMountLocation(const MountSettings& settings, const StepClock& clock) {
  Error error(ErrorKind::kSystem, "no place for a mount point");
  for (const std::string& path : MountPointCandidates(settings)) {
    auto made = RetryWhileVanishing([&] { return MakeMountLocation(path, clock); });
    if (made) return made;
    error = std::move(made).error();
  }
  return Failure(std::move(error));
}

}  // namespace

Result<std::string> MountWithFusermount(const MountRequest& request) {
  TRY(CheckFusermount());
  auto [location, entry] = TRY(MakeMountLocation(request.settings, request.clock));
  const std::string entry_name(BaseName(entry.path));
  const std::string path = JoinPath(entry.path, request.name());
  auto mount = [&, &location = location, &entry = entry]() -> Result<> {
    // First, so that everything is removed even if this process is killed meanwhile.
    TRY(ForkCleanup(path, {location.fd.get(), entry.fd.get()},
                    [&] { return RemoveMount(location, entry_name, path); }));
    ClearUmask umask;
    if (::mkdirat(entry.fd.get(), request.name().c_str(), 0700) < 0)
      return Failure(Error::FromErrno(Quoted(path)));
    ServerOptions options = ServerOptionsFor(request, path);
    UniqueFd device = TRY(MountByFusermount(path, options.allow_other));
    request.clock.Step("mounted on {} by fusermount3", Quoted(path));
    ServerProcess server = TRY(ServerProcess::Fork(request.reader, options, device));
    device.Reset();
    return server.Begin(path);
  };
  auto mounted = mount();
  if (mounted) return path;
  static_cast<void>(RemoveMount(location, entry_name, path));
  return Failure(std::move(mounted).error());
}

}  // namespace haft
