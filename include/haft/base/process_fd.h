// Processes by descriptor: readable for poll(2) when the process has ended, and never another
// one's.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "haft/base/unique_fd.h"

namespace haft {

// None, with errno, before Linux 5.3 or if the process is gone.
inline UniqueFd OpenProcess(pid_t process) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

}  // namespace haft
