#include "haft/base/foreground.h"

#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "haft/base/process.h"

namespace haft {
namespace {

// What can be sent to a process to tell it something. SIGKILL and SIGSTOP cannot be passed on.
constexpr int kForwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1, SIGUSR2,
                              SIGALRM, SIGTSTP, SIGCONT, SIGWINCH, SIGPIPE, SIGURG};

// Blocks the forwarded signals and SIGCHLD, so that they can be waited for; restores everything.
class HeldSignals {
 public:
  HeldSignals() {
    ::sigemptyset(&held_);
    for (int signal : kForwarded) ::sigaddset(&held_, signal);
    ::sigaddset(&held_, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &held_, &mask_);
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &standard,
                &child_);  // inherited as ignored, it would hide the child's status
  }
  ~HeldSignals() {
    ::sigaction(SIGCHLD, &child_, nullptr);
    ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  const sigset_t& held() const { return held_; }
  const sigset_t& mask() const { return mask_; }  // as it was

 private:
  sigset_t held_;
  sigset_t mask_;
  struct sigaction child_;
};

Result<pid_t> Spawn(const std::string& path, const std::vector<std::string>& argv,
                    const std::vector<std::string>& environment, const sigset_t& mask) {
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  pid_t child = -1;
  int error = ::posix_spawn(&child, path.c_str(), nullptr, &attributes, Pointers(argv).data(),
                            Pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return Failure(Error::FromErrno(Quoted(path), error));
  return child;
}

// Its status, once it has ended.
std::optional<int> Reap(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
    if (!WIFSTOPPED(status)) return status;
    ::raise(SIGSTOP);  // with it; whoever continues us continues the child below
    ::kill(child, SIGCONT);
  }
  return std::nullopt;
}

}  // namespace

Result<int> RunInForeground(const std::string& path, const std::vector<std::string>& argv,
                            const std::vector<std::string>& environment) {
  HeldSignals signals;
  pid_t child = TRY(Spawn(path, argv, environment, signals.mask()));
  while (true) {
    siginfo_t info = {};
    int signal = ::sigwaitinfo(&signals.held(), &info);
    if (signal < 0) continue;
    if (signal == SIGCHLD) {
      if (auto status = Reap(child)) return *status;
    } else if (info.si_code != SI_KERNEL) {  // from a process; the terminal's go to the whole group
      ::kill(child, signal);
    }
  }
}

void EndLike(int status) {
  if (WIFSIGNALED(status)) EndBySignal(WTERMSIG(status));
  ::_exit(WEXITSTATUS(status));
}

void EndBySignal(int signal) {
  rlimit no_core = {};
  ::setrlimit(RLIMIT_CORE, &no_core);
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::kill(::getpid(), signal);
  ::_exit(128 + signal);
}

}  // namespace haft
