// Who uses an unpacked tree or a mount that all of the host can see.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace haft {

// A process uses something below a directory if
//  - it executes it, works in it, or has files of it open or mapped, whoever it belongs to;
//  - it is of this user, and its environment names the directory: descendants of a bundle inherit
//    that in PYTHONPATH, also a daemon that has closed everything;
//  - it descends from `program`, whatever it has done to its environment and rights;
//  - or it cannot be looked at and may descend from `program`: adopted as the caller was, begun
//    later, in the same control group, and of this user if that is not root.
// Names, arguments, and the environment of other users count for nothing, and haft's own helpers
// are none. What the kernel does not show (hidepid=) is not there.
class DirectoryUsers {
 public:
  // `program`: the one whose descendants count, 0 for none. The caller has the parent that orphans
  // of the program get. `user` is who is called "this user" above.
  explicit DirectoryUsers(std::string path, pid_t program = 0, uid_t user = ::geteuid());

  // Looks at the program while it lives, so that its descendants are recognised later: once soon
  // after it has executed something, and sometimes afterwards. Costs some 30 µs.
  void Observe();
  // Whether Observe() has seen it after it executed something.
  bool observed() const { return !layouts_.empty(); }

  // Without the caller. Those that were found before are remembered: their descendants count.
  std::vector<pid_t> Find();

 private:
  struct Known {
    pid_t pid;
    std::uint64_t begin;
  };
  struct Process;
  class Search;

  bool IsKin(const Process& process) const;
  bool MayBeOrphan(const Process& process) const;

  std::string path_;
  uid_t user_;  // whose environments count
  std::optional<Known> program_;
  pid_t program_session_ = 0;
  std::string control_group_;         // of the program
  std::vector<std::string> layouts_;  // of the memory of the program: a fork has the same
  std::vector<Known> known_;          // users whose descendants count, the program among them
};

// For those who know of no program.
bool HasUser(const std::string& path);
std::vector<pid_t> FindUsers(const std::string& path, uid_t user = ::geteuid());

}  // namespace haft
