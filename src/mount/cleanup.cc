#include "cleanup.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "haft/base/limits.h"
#include "haft/base/process.h"
#include "haft/base/process_fd.h"
#include "haft/base/unique_fd.h"
#include "haft/mount/directory_users.h"

namespace haft {
namespace {

using namespace std::chrono_literals;

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

// Until the program has ended. It is looked at as soon as it has executed something, and now and
// then, should it execute something else.
void WaitForProgram(pid_t program, const UniqueFd& pidfd, DirectoryUsers& users) {
  constexpr int kFirst = 5, kOnceSeen = 100, kLongest = 10'000;
  pollfd ended{.fd = pidfd.get(), .events = POLLIN};
  for (int pause = kFirst; pidfd && ::poll(&ended, 1, pause) <= 0;) {
    const bool seen_before = users.observed();
    users.Observe();
    if (users.observed()) pause = seen_before ? std::min(2 * pause, kLongest) : kOnceSeen;
  }
  WaitForEnd(program, pidfd);
}

// A look at all processes takes milliseconds. However long this waits for users that come and go,
// looking takes a thousandth of the time, after a tenth of a second in advance.
class Allowance {
 public:
  // Sleeps until there is time for a look.
  void Wait() {
    constexpr std::chrono::nanoseconds kAdvance = 100ms, kShortest = 20ms, kLongest = 4s;
    const std::chrono::nanoseconds elapsed(MonotonicNow() - begin_);
    const std::chrono::nanoseconds missing = 1000 * (used_ - kAdvance) - elapsed;
    Sleep(std::clamp(missing, kShortest, kLongest));
  }
  void Look(const std::function<void()>& look) {
    const std::uint64_t before = MonotonicNow();
    look();
    used_ += std::chrono::nanoseconds(MonotonicNow() - before);
  }

 private:
  std::uint64_t begin_ = MonotonicNow();
  std::chrono::nanoseconds used_{0};
};

void WaitUntilUnused(DirectoryUsers& users, Allowance& allowance) {
  // Twice: while the list of processes is read, a user may have started another one and ended.
  for (int unused = 0; unused < 2;) {
    std::vector<pid_t> found;
    allowance.Look([&] { found = users.Find(); });
    for (pid_t user : found) WaitForEnd(user, OpenProcess(user));
    unused = found.empty() ? unused + 1 : 0;
    if (unused < 2) allowance.Wait();
  }
}

// Whether a cleanup process that knows nothing of our program would find all its descendants.
bool OthersFindAll(DirectoryUsers& users, const std::string& path) {
  const std::vector<pid_t> ours = users.Find();
  const std::vector<pid_t> theirs = ours.empty() ? ours : DirectoryUsers(path).Find();
  return std::ranges::all_of(
      ours, [&](pid_t user) { return std::ranges::find(theirs, user) != theirs.end(); });
}

}  // namespace

Result<> ForkCleanup(const std::string& path, std::initializer_list<int> keep,
                     const std::function<bool()>& finish, const std::function<bool()>& is_last) {
  pid_t program = ::getpid();
  UniqueFd pidfd = OpenProcess(program);
  pid_t child = ::fork();
  if (child < 0) return Failure(NoProcess("fork"));
  if (child == 0) {
    // Twice, so that the program never sees a child it did not start.
    if (pid_t grandchild = ::fork(); grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
    std::vector<int> kept(keep);
    if (pidfd) kept.push_back(pidfd.get());
    DetachProcess("haft-cleanup", kept);
    ::prctl(PR_SET_DUMPABLE, 0);
    DirectoryUsers users(path, program);
    WaitForProgram(program, pidfd, users);
    if (is_last && OthersFindAll(users, path) && !is_last()) ::_exit(0);
    for (Allowance allowance;; allowance.Wait()) {
      WaitUntilUnused(users, allowance);
      if (finish()) break;
    }
    ::_exit(0);
  }
  if (WaitFor(child).value_or(0) != 0)
    return Failure(NoProcess("fork: no process to clean up", EAGAIN));
  return {};
}

}  // namespace haft
