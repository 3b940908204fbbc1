#include "haft/server/server_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "haft/base/cpu_placement.h"
#include "haft/base/file_io.h"
#include "haft/base/log.h"
#include "haft/base/pass_descriptor.h"
#include "haft/server/sandbox.h"
#include "prefetch_host.h"
#include "prefetch_image.h"
#include "supervisor.h"

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

// In a process of its own, while the mount is made; -1: none.
pid_t StartPrefetchHost(const FuseServer& server, UniqueFd& go) {
  if (!MayPrefetch()) return -1;
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_NAME, "haft-prefetch-h");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close(server.device());  // a connection that nobody answers ends only when nobody has it
  go.Reset();
  PrefetchHost(server.image(), server.options().program_path);
  ::_exit(0);
}

// The life of the supervisor. Reading from the device before it is mounted would be EPERM, hence
// the wait.
Result<> Serve(ImageReader reader, const ServerOptions& options, UniqueFd device, UniqueFd go,
               const OtherCpus& cpus) {
  FuseServer server = TRY(FuseServer::Create(std::move(reader), options));
  TRY(server.Attach(std::move(device)));
  ::signal(SIGCHLD, SIG_DFL);  // ignored, it would reap our children before we have seen their end
  const pid_t prefetch_host = StartPrefetchHost(server, go);
  ConfineSupervisor(server.device());
  auto root = ReceiveDescriptor(go.get());
  auto alive = root ? ReceiveDescriptor(go.get()) : Failure(root.error());
  go.Reset();
  if (alive)
    RunSupervisor(std::move(server), {.root = *std::move(root),
                                      .alive = *std::move(alive),
                                      .cpus = cpus,
                                      .prefetch_host = prefetch_host});
  return {};
}

}  // namespace

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

Result<ServerProcess> ServerProcess::Fork(ImageReader& reader, const ServerOptions& options,
                                          const UniqueFd& device) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return Failure(Error::FromErrno("socketpair"));
  UniqueFd wait(ends[0]), go(ends[1]);
  const OtherCpus cpus;
  pid_t child = ::fork();
  if (child < 0) return Failure(Error::FromErrno("fork"));
  if (child > 0) {
    cpus.Move(child);
    return ServerProcess(child, std::move(go));
  }
  go.Reset();
  // Twice, so that the program never sees a child it did not start.
  pid_t grandchild = ::fork();
  if (grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
  std::vector<int> keep = reader.Descriptors();
  keep.insert(keep.end(), {device.get(), wait.get()});
  // With HAFT_LOG=debug they say there what happens to them; otherwise nobody would read it.
  UniqueFd errors(LogEnabled(LogLevel::kDebug) ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) : -1);
  if (errors) keep.push_back(errors.get());
  DetachProcess("haft-supervisor", keep);
  if (errors) ::dup2(errors.get(), STDERR_FILENO);
  errors.Reset();
  GiveUpPrivileges();  // all descriptors are open
  auto served = Serve(std::move(reader), options, UniqueFd(device.get()), std::move(wait), cpus);
  ::_exit(served ? 0 : 1);  // no destructors: the caller's objects are not ours
}

ServerProcess::~ServerProcess() {
  if (child_ > 0) Reap();
}

int ServerProcess::Reap() {
  int status = 0;
  pid_t child = std::exchange(child_, -1), waited;
  do {
    waited = ::waitpid(child, &status, 0);
  } while (waited < 0 && errno == EINTR);
  // ECHILD: the program that started us ignores SIGCHLD, which we inherited.
  return waited == child ? status : 0;
}

Result<> ServerProcess::Begin(const std::string& mount) {
  if (Reap() != 0) return Failure(Error(ErrorKind::kSystem, "fork: no server process"));
  UniqueFd root = TRY(OpenFile(mount, O_PATH | O_DIRECTORY));
  UniqueFd name_space(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!SendDescriptor(go_.get(), root.get()) ||
      !SendDescriptor(go_.get(), (name_space ? name_space : root).get())) {
    return Failure(Error(ErrorKind::kSystem, "the server process ended before it served"));
  }
  go_.Reset();
  return {};
}

}  // namespace haft
