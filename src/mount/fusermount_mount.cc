#include "fusermount_mount.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "cleanup.h"
#include "fusermount.h"
#include "haft/base/path.h"
#include "haft/mount/host_mount.h"
#include "haft/server/server_process.h"
#include "mount_entry.h"
#include "user_directory.h"

namespace haft {
namespace {

// Mounts there and has a server answer. REQUIRES: the entry's mount is locked, and dead or not
// there.
Result<> Mount(const MountRequest& request, const MountEntry& entry, HostMount state) {
  const std::string path = entry.mount_path();
  if (state == HostMount::kDead) TRY(Unmount(path, UnmountHow::kLazily));
  TRY(entry.MakeMountPoint());
  ServerOptions options = ServerOptionsFor(request, path);
  UniqueFd device = TRY(MountByFusermount(path, options.allow_other));
  request.clock.Step("mounted on {} by fusermount3", Quoted(path));
  ServerProcess server = TRY(ServerProcess::Fork(request.reader, options, device));
  device.Reset();
  auto begun = server.Begin(path);
  if (!begun) static_cast<void>(Unmount(path, UnmountHow::kLazily));
  return begun;
}

Result<> MountUnlessMounted(const MountRequest& request, MountEntry& entry) {
  TRY(entry.Join());
  const UniqueFd lock = TRY(entry.LockMount());
  const HostMount state = TRY(entry.State());
  if (state != HostMount::kAlive) return Mount(request, entry, state);
  request.clock.Step("mounted already on {}", Quoted(entry.mount_path()));
  return {};
}

struct Place {
  UserDirectory location;
  MountEntry entry;
};

enum class Sharing { kWithOtherStarts, kNone };

Result<Place> OpenPlace(const MountRequest& request, const std::string& path, Sharing sharing) {
  UserDirectory location = TRY(OpenUserDirectoryOrBeside(path));
  for (const std::string& removed : MountEntry::Sweep(location))
    request.clock.Step("leftover {} removed", Quoted(removed));
  MountEntry entry = TRY(sharing == Sharing::kNone
                             ? MountEntry::MakePrivate(location, request.name())
                             : MountEntry::OpenShared(location, request.name(), request.reader));
  return Place{.location = std::move(location), .entry = std::move(entry)};
}

// The first one that will do.
Result<Place> FindPlace(const MountRequest& request, Sharing sharing) {
  Error error(ErrorKind::kSystem, "no place for a mount point");
  for (const std::string& path : MountPointCandidates(request.settings)) {
    auto place = RetryWhileVanishing([&] { return OpenPlace(request, path, sharing); });
    if (place) return place;
    error = std::move(place).error();
  }
  return Failure(std::move(error));
}

Result<std::string> MountIn(const MountRequest& request, Place place) {
  auto& [location, entry] = place;
  const auto remove = [&location = location, &entry = entry] {
    if (!entry.BecomeLastUser()) return true;
    if (entry.Remove()) {
      RemoveIfEmpty(location);  // if it was the last one
      return true;
    }
    entry.Rejoin();
    return false;
  };
  const auto is_last = [&entry = entry] {
    const bool last = entry.BecomeLastUser();
    if (last) entry.Rejoin();
    return last;
  };
  const std::string path = entry.mount_path();
  // First, so that everything is removed even if this process is killed meanwhile.
  auto mounted = ForkCleanup(path, {location.fd.get(), entry.fd()}, remove, is_last);
  if (mounted) mounted = MountUnlessMounted(request, entry);
  if (mounted) return path;
  remove();
  return Failure(std::move(mounted).error());
}

}  // namespace

Result<std::string> MountWithFusermount(const MountRequest& request) {
  TRY(CheckFusermount());
  const auto mount = [&](Sharing sharing) -> Result<std::string> {
    return MountIn(request, TRY(FindPlace(request, sharing)));
  };
  if (!request.settings.own_server) {
    auto path = RetryWhileVanishing([&] { return mount(Sharing::kWithOtherStarts); });
    // A mount belongs to one user and one group.
    if (path || path.error().sys_errno() != EACCES) return path;
  }
  return mount(Sharing::kNone);
}

}  // namespace haft
