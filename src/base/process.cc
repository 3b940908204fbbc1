#include "haft/base/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "haft/base/directory.h"
#include "haft/base/text.h"

namespace haft {
namespace {

void CloseRange(unsigned first, unsigned last) {
  if (first > last || ::syscall(SYS_close_range, first, last, 0) == 0) return;
  // Before Linux 5.9.
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  last = static_cast<unsigned>(std::min<rlim_t>(last, limit.rlim_cur));
  for (unsigned fd = first; fd <= last; ++fd) ::close(static_cast<int>(fd));
}

// Everything but `keep`, which may be in any order.
void CloseAllBut(const std::vector<int>& keep) {
  std::vector<unsigned> kept;
  for (int fd : keep) kept.push_back(static_cast<unsigned>(fd));
  std::ranges::sort(kept);
  unsigned next = STDERR_FILENO + 1;
  for (unsigned fd : kept) {
    if (fd > next) CloseRange(next, fd - 1);
    next = std::max(next, fd + 1);
  }
  CloseRange(next, ~0u);
}

}  // namespace

std::optional<int> WaitFor(pid_t child) {
  int status = 0;
  pid_t waited;
  do {
    waited = ::waitpid(child, &status, 0);
  } while (waited < 0 && errno == EINTR);
  if (waited != child) return std::nullopt;
  return status;
}

Result<std::pair<UniqueFd, UniqueFd>> SocketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return Failure(Error::FromErrno("socketpair"));
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

void Sleep(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const timespec wait{.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
  ::nanosleep(&wait, nullptr);
}

std::uint64_t MonotonicNow() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void DetachProcess(const char* name, const std::vector<int>& keep) {
  ::setsid();
  ::prctl(PR_SET_NAME, name);
  if (::chdir("/") < 0) {
    // Staying where we are only keeps that directory busy.
  }
  int null = ::open("/dev/null", O_RDWR);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (null >= 0 && null != fd) ::dup2(null, fd);
  }
  CloseAllBut(keep);
  for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP,
                     SIGTTIN, SIGTTOU}) {
    ::signal(signal, SIG_IGN);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  rlimit no_core = {};
  ::setrlimit(RLIMIT_CORE, &no_core);
}

std::vector<pid_t> AllProcesses() {
  std::vector<pid_t> processes;
  DirectoryStream stream("/proc");
  while (const dirent* entry = stream.Next()) {
    if (auto pid = ToNumber<pid_t>(entry->d_name)) processes.push_back(*pid);
  }
  return processes;
}

}  // namespace haft
