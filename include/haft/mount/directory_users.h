#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace haft {

// A process that uses something below the directory `path`: its environment or arguments name it
// (every descendant of a bundle inherits the path in PYTHONPATH, also a daemon that has closed
// everything), it works in it, executes it, has files of it open or mapped. Only processes that
// this user may look at count, and haft's own helpers and the caller do not.
std::optional<pid_t> FindUser(const std::string& path);
std::vector<pid_t> FindUsers(const std::string& path);

}  // namespace haft
