#include "supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <new>
#include <vector>

#include "haft/base/log.h"
#include "haft/base/process.h"
#include "haft/base/process_fd.h"
#include "haft/base/subprocess.h"
#include "haft/fuse/shared_state.h"
#include "haft/server/sandbox.h"
#include "prefetch_image.h"

namespace haft {
namespace {

constexpr std::size_t kMaxCrashes = 5;
constexpr time_t kCrashSeconds = 10;
constexpr int kMaxFruitless = 10;

SharedServerState* MakeSharedState() {
  void* memory = ::mmap(nullptr, sizeof(SharedServerState), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : new (memory) SharedServerState;
}

time_t Seconds() {
  return static_cast<time_t>(MonotonicNow() / 1'000'000'000);
}

std::vector<std::uint64_t> Numbers(const SharedServerState::Numbers& slots) {
  std::vector<std::uint64_t> numbers;
  for (const auto& slot : slots) {
    if (slot != 0) numbers.push_back(slot);
  }
  return numbers;
}

class Supervisor {
 public:
  Supervisor(FuseServer server, SupervisedMount mount, SharedServerState& shared)
      : server_(std::move(server)), mount_(std::move(mount)), shared_(shared) {}

  // Returns when there is nothing to keep any more.
  void Run() {
    for (;;) {
      std::uint64_t answered = shared_.answered;
      pid_t server = ForkServer();
      if (server < 0) return;
      if (mount_.root) StartPrefetch();
      int status = WaitFor(server);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;  // unmounted
      ++shared_.deaths;
      shared_.last_status = status;
      shared_.last_time = ::time(nullptr);
      if (!MayReplace(status, shared_.answered != answered)) {
        Log(LogLevel::kWarning, "server: {}; not replaced, its files are lost to the program",
            DescribeStatus(status));
        return;
      }
      Log(LogLevel::kWarning, "server: {}; replaced", DescribeStatus(status));
      for (auto& slot : shared_.in_flight) slot = 0;
      if (!server_.Resend()) {  // unmounted meanwhile
        mount_.directory.Remove();
        return;
      }
    }
  }

 private:
  // In a process of its own: a mount whose server is dead answers nobody, and the supervisor must
  // not wait for it.
  void StartPrefetch() {
    UniqueFd root = std::move(mount_.root);
    pid_t child = shared_.prefetching ? ::fork() : -1;
    if (child == 0) RunPrefetch(root.get());
    prefetch_ = child;
    if (child < 0) shared_.prefetching = false;
    mount_.cpus.Release();
  }

  [[noreturn]] void RunPrefetch(int root) noexcept {
    ::prctl(PR_SET_NAME, "haft-prefetch");
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(server_.device());  // a connection that nobody answers ends only when nobody has it
    mount_.alive.Reset();
    ConfinePrefetchImage(root);
    PrefetchImage(server_.image(), root);
    ::_exit(0);
  }

  // Until the server ended; its status. Meanwhile the prefetch ends, and the program.
  int WaitFor(pid_t server) {
    const ServerOptions& options = server_.options();
    const UniqueFd program =
        options.private_mount ? OpenProcess(options.bundle.program) : UniqueFd();
    if (!program) mount_.alive.Reset();
    while (mount_.alive || prefetch_ > 0 || mount_.prefetch_host > 0) {
      const UniqueFd server_fd = OpenProcess(server),
                     prefetch = prefetch_ > 0 ? OpenProcess(prefetch_) : UniqueFd();
      const UniqueFd prefetch_host =
          mount_.prefetch_host > 0 ? OpenProcess(mount_.prefetch_host) : UniqueFd();
      pollfd ended[4] = {{.fd = server_fd.get(), .events = POLLIN, .revents = 0},
                         {.fd = prefetch.get(), .events = POLLIN, .revents = 0},
                         {.fd = mount_.alive ? program.get() : -1, .events = POLLIN, .revents = 0},
                         {.fd = prefetch_host.get(), .events = POLLIN, .revents = 0}};
      if (!server_fd || (::poll(ended, 4, -1) < 0 && errno != EINTR)) {
        mount_.alive.Reset();
        break;
      }
      if (ended[1].revents != 0) EndPrefetch();
      if (ended[3].revents != 0)
        ::waitpid(std::exchange(mount_.prefetch_host, -1), nullptr, WNOHANG);
      if (ended[2].revents != 0) mount_.alive.Reset();
      if (ended[0].revents != 0) break;
    }
    for (int status = 0;;) {
      pid_t ended = ::waitpid(-1, &status, 0);
      if (ended == server || (ended < 0 && errno != EINTR)) return status;
      if (ended == prefetch_) EndPrefetch();
      if (ended == mount_.prefetch_host) mount_.prefetch_host = -1;
    }
  }

  void EndPrefetch() {
    ::waitpid(std::exchange(prefetch_, -1), nullptr, WNOHANG);
    shared_.prefetching = false;
  }

  [[noreturn]] void RunServer() noexcept {
    ::prctl(PR_SET_NAME, "haft-server");
    mount_.root.Reset();
    mount_.alive.Reset();
    server_.Prepare();
    ConfineServer(server_.device(), mount_.directory);
    const bool unmounted(server_.Run());
    // Not by the supervisor, which may be gone by now.
    if (unmounted) mount_.directory.Remove();
    ::_exit(unmounted ? 0 : 1);
  }

  pid_t ForkServer() {
    for (int attempt = 0; attempt < 100; ++attempt) {
      pid_t server = ::fork();
      if (server == 0) RunServer();
      if (server > 0) return server;
      Sleep(std::chrono::milliseconds(20));
    }
    return -1;
  }

  bool MayReplace(int status, bool answered_something) {
    if (!server_.can_resend()) return false;  // what it was working on would wait for ever
    std::vector<std::uint64_t> in_flight = Numbers(shared_.in_flight);
    // Also the kernel kills, for lack of memory.
    fruitless_ = answered_something || in_flight.empty() ? 0 : fruitless_ + 1;
    if (fruitless_ >= kMaxFruitless) return false;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    for (std::uint64_t number : in_flight) {
      if (std::ranges::find(crashed_at_, number) != crashed_at_.end())
        shared_.refused[next_refused_++ % SharedServerState::kSlots] = number;
    }
    crashed_at_ = std::move(in_flight);
    crashes_.push_back(Seconds());
    while (crashes_.front() <= crashes_.back() - kCrashSeconds) crashes_.pop_front();
    return crashes_.size() <= kMaxCrashes;
  }

  FuseServer server_;
  SupervisedMount mount_;
  pid_t prefetch_ = -1;
  SharedServerState& shared_;
  int fruitless_ = 0;                      // deaths in a row with work begun and nothing answered
  std::vector<std::uint64_t> crashed_at_;  // requests in flight at the last crash
  std::deque<time_t> crashes_;             // of the last ten seconds
  std::size_t next_refused_ = 0;
};

}  // namespace

void RunSupervisor(FuseServer server, SupervisedMount mount) {
  SharedServerState* shared = MakeSharedState();
  if (shared == nullptr) ::_exit(1);
  ::signal(SIGCHLD, SIG_DFL);  // the program's parent may ignore it, which would swallow statuses
  shared->cpus = mount.cpus;
  shared->prefetching = mount.root && mount.cpus && MayPrefetch(server.options());
  server.ShareState(shared);
  auto mounted = server.Initialize();
  // The kernel has its answer: nobody waits for this.
  ConfineSupervisorToFiles(mount.root.get(), mount.directory);
  if (mounted && *mounted) {
    Supervisor(std::move(server), std::move(mount), *shared).Run();
  } else if (mounted) {
    mount.directory.Remove();
  }
  ::_exit(0);  // closes the device: whoever still asks gets ENOTCONN
}

}  // namespace haft
