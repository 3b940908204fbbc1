// Mounts that everybody on the host can see: what `haft mount` and `haft umount` deal with.
#pragma once

#include <optional>
#include <string>

#include "haft/base/error.h"
#include "haft/mount/unmount.h"

namespace haft {

// Absolute form of a directory's path. Works on a mount whose server is dead, where stat does not.
Result<std::string> ResolveMountPoint(const std::string& directory);

enum class HostMount {
  kNone,  // nothing of ours is mounted there
  kAlive,
  kDead,  // ours, but the server is gone (ENOTCONN)
};

// Whether a bundle is mounted on exactly this (resolved) path. Asks the kernel's table only.
bool IsHostMount(const std::string& path);
// And whether its server is there. One that does not answer within a second is alive.
Result<HostMount> FindHostMount(const std::string& path);

// umount(2), or fusermount3 for an ordinary user's own mount.
Result<> Unmount(const std::string& path, UnmountHow how);

}  // namespace haft
