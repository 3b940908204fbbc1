// Where new processes run. The kernel likes to put a child on the CPU of its parent, where it waits
// until the parent sleeps.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <optional>

namespace haft {

// The CPUs that this process may use except the current one. A child moved there runs in parallel
// with its parent.
class OtherCpus {
 public:
  // As seen now, by the calling thread. There are none with one CPU, or more than cpu_set_t holds.
  OtherCpus();

  // All that the thread may use, this one included.
  const cpu_set_t& all() const { return all_; }

  explicit operator bool() const { return others_.has_value(); }

  // Moves `child` there until it calls Release(); what it forks before stays there as well.
  void Move(pid_t child) const;

  // Lets the calling process run again wherever its parent may. By the child: then it goes where
  // the kernel likes.
  void Release() const;

 private:
  cpu_set_t all_ = {};
  std::optional<cpu_set_t> others_;
};

}  // namespace haft
