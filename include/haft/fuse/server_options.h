#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace haft {

// What a mount says of itself in .haft/stats.
struct BundleDescription {
  std::string name;
  std::string mode;          // the mode's name
  std::string mount;         // path of the mount point
  pid_t program = 0;         // the process it was made for
  std::int64_t started = 0;  // seconds since 1970
};

struct ServerOptions {
  uid_t uid;  // shown as the owner of everything
  gid_t gid;
  bool allow_other = false;
  bool private_mount = false;     // nobody but the program and its children can see it
  bool prefetch = true;           // what a start needs, before it asks
  std::string program_path = {};  // of what will be run; "": unknown
  unsigned threads = 0;           // at most; 0: min(4, CPUs), at least 2
  BundleDescription bundle = {};
};

}  // namespace haft
