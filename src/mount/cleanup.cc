#include "cleanup.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "haft/base/process.h"
#include "haft/base/process_fd.h"
#include "haft/base/unique_fd.h"
#include "haft/mount/directory_users.h"

namespace haft {
namespace {

constexpr std::chrono::milliseconds kPollInterval(100);

// `pidfd` may be none (before Linux 5.3, or the process is gone): then by asking again and again.
void WaitForEnd(pid_t process, const UniqueFd& pidfd) {
  if (!pidfd) {
    while (::kill(process, 0) == 0 || errno == EPERM) Sleep(kPollInterval);
    return;
  }
  pollfd ended{.fd = pidfd.get(), .events = POLLIN};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
}

void WaitUntilUnused(const std::string& path) {
  // Twice: while the list of processes is read, a user may have started another one and ended.
  for (int unused = 0; unused < 2;) {
    auto user = FindUser(path);
    if (user) {
      WaitForEnd(*user, OpenProcess(*user));
      unused = 0;
    } else if (++unused < 2) {
      Sleep(std::chrono::milliseconds(20));
    }
  }
}

}  // namespace

Result<> ForkCleanup(const std::string& path, std::initializer_list<int> keep,
                     const std::function<bool()>& finish) {
  pid_t program = ::getpid();
  UniqueFd pidfd = OpenProcess(program);
  pid_t child = ::fork();
  if (child < 0) return Failure(Error::FromErrno("fork"));
  if (child == 0) {
    // Twice, so that the program never sees a child it did not start.
    if (pid_t grandchild = ::fork(); grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
    std::vector<int> kept(keep);
    if (pidfd) kept.push_back(pidfd.get());
    DetachProcess("haft-cleanup", kept);
    ::prctl(PR_SET_DUMPABLE, 0);
    WaitForEnd(program, pidfd);
    do {
      WaitUntilUnused(path);
    } while (!finish() && (Sleep(kPollInterval), true));
    ::_exit(0);
  }
  if (WaitFor(child).value_or(0) != 0)
    return Failure(Error(ErrorKind::kSystem, "fork: no process to clean up"));
  return {};
}

}  // namespace haft
