#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace haft {

struct MountTableEntry {
  std::string device;             // "0:57"
  std::string mount_point;        // unescaped
  std::string type;               // "fuse.haft"
  std::optional<uid_t> user_id;   // of a FUSE mount: only this user and
  std::optional<gid_t> group_id;  // group may use it, unless others are allowed
};

// The lines of a mountinfo file, in its order: of several on one mount point the last one is on
// top. Empty if it cannot be read.
std::vector<MountTableEntry> ReadMountTable(const std::string& mountinfo);

}  // namespace haft
