#include "syscall_filter_check.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace haft {
namespace {

// None of them does anything: the kernel asks the filter before it looks at what is wrong with
// them.
[[noreturn]] void MakeCalls() {
  ::prctl(PR_SET_DUMPABLE, 0);  // no core file of what is expected
  ::unshare(CLONE_NEWNS);
  ::mount(nullptr, nullptr, nullptr, 0, nullptr);
  ::umount2(nullptr, 0);
  ::setns(-1, 0);
  ::syscall(SYS_chroot, nullptr);
  ::syscall(SYS_open_tree, -1, nullptr, 0);
  ::syscall(SYS_move_mount, -1, nullptr, -1, nullptr, 0);
  ::_exit(0);
}

}  // namespace

Result<> CheckSyscallFilter() {
  if (::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER) return {};
  const pid_t child = ::fork();
  if (child < 0) return Failure(Error::FromErrno("fork"));
  if (child == 0) MakeCalls();
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFSIGNALED(status)) return {};
  return Failure(Error(ErrorKind::kUnsupported, "a system call filter ends whoever mounts", EPERM)
                     .Remedy("allow @mount and setns (systemd: SystemCallFilter=)"));
}

}  // namespace haft
