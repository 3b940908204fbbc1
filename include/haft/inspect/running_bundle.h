// A bundle that runs on this host, as haft ps shows it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace haft {

// From .haft/stats of a mount.
struct ServerFigures {
  std::uint64_t requests = 0;
  std::uint64_t cache_hits = 0;
  std::uint64_t cache_misses = 0;
  std::uint64_t rss_bytes = 0;
  pid_t server = 0;
  pid_t supervisor = 0;
  std::uint32_t deaths = 0;  // of servers before this one
  std::string last_death;    // how the last one died
};

struct RunningBundle {
  std::string name;
  std::string image_id;
  std::string mode;                      // the mode's name, or "mount" for what `haft mount` made
  std::string mount;                     // where its files are, in the namespace of its processes
  bool own = false;                      // of this user
  std::vector<pid_t> pids;               // of its processes, oldest first
  double uptime = 0;                     // seconds since the oldest of them, or the mount, began
  std::optional<ServerFigures> figures;  // none: mode extract, or the server does not answer
};

}  // namespace haft
