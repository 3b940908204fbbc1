#include "haft/server/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "haft/base/cpu_placement.h"
#include "haft/base/file_io.h"
#include "haft/base/limits.h"
#include "haft/base/log.h"
#include "haft/base/pass_descriptor.h"
#include "haft/base/process.h"
#include "haft/server/sandbox.h"
#include "prefetch_host.h"
#include "prefetch_image.h"
#include "supervisor.h"

namespace haft {
namespace {

[[noreturn]] void RunPrefetchHost(const FuseServer& server, UniqueFd& go) noexcept {
  ::prctl(PR_SET_NAME, "haft-host-files");
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close(server.device());  // a connection that nobody answers ends only when nobody has it
  go.Reset();
  PrefetchHost(server.image(), server.options().program_path);
  ::_exit(0);
}

// In a process of its own, while the mount is made; -1: none.
pid_t StartPrefetchHost(const FuseServer& server, UniqueFd& go) {
  if (!MayPrefetch(server.options())) return -1;
  const pid_t child = ::fork();
  if (child == 0) RunPrefetchHost(server, go);
  return child;
}

// The life of the supervisor. Reading from the device before it is mounted would be EPERM, hence
// the wait.
Result<> Serve(ImageReader reader, const ServerOptions& options, UniqueFd device, UniqueFd go,
               const OtherCpus& cpus, MountDirectory directory) {
  FuseServer server = TRY(FuseServer::Create(std::move(reader), options));
  TRY(server.Attach(std::move(device)));
  ::signal(SIGCHLD, SIG_DFL);  // ignored, it would reap our children before we have seen their end
  const pid_t prefetch_host = StartPrefetchHost(server, go);
  ConfineSupervisor(server.device(), directory);
  auto root = ReceiveDescriptor(go.get());
  auto alive = root ? ReceiveDescriptor(go.get()) : Failure(root.error());
  go.Reset();
  if (alive)
    RunSupervisor(std::move(server), {.root = *std::move(root),
                                      .alive = *std::move(alive),
                                      .cpus = cpus,
                                      .prefetch_host = prefetch_host,
                                      .directory = std::move(directory)});
  return {};
}

[[noreturn]] void RunSupervisorProcess(const ImageReader& reader, const ServerOptions& options,
                                       const UniqueFd& device, UniqueFd wait, const OtherCpus& cpus,
                                       const MountDirectory& directory) noexcept {
  std::vector<int> keep = reader.Descriptors();
  keep.insert(keep.end(), {device.get(), wait.get()});
  if (directory.descriptor() >= 0) keep.push_back(directory.descriptor());
  // With HAFT_LOG=debug they say there what happens to them; otherwise nobody would read it.
  UniqueFd errors(LogEnabled(LogLevel::kDebug) ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) : -1);
  if (errors) keep.push_back(errors.get());
  DetachProcess("haft-supervisor", keep);
  if (errors) ::dup2(errors.get(), STDERR_FILENO);
  errors.Reset();
  directory.RemoveUnusedBeside();
  GiveUpPrivileges();  // all descriptors are open
  auto served = Serve(reader.Share(), options, UniqueFd(device.get()), std::move(wait), cpus,
                      directory.Inherited());
  ::_exit(served ? 0 : 1);  // no destructors: the caller's objects are not ours
}

}  // namespace

Result<ServerProcess> ServerProcess::Fork(const ImageReader& reader, const ServerOptions& options,
                                          const UniqueFd& device, const MountDirectory& directory) {
  auto [wait, go] = TRY(SocketPair());
  const OtherCpus cpus;
  pid_t child = ::fork();
  if (child < 0) return Failure(NoProcess("fork"));
  if (child > 0) {
    cpus.Move(child);
    return ServerProcess(child, std::move(go));
  }
  go.Reset();
  // Twice, so that the program never sees a child it did not start.
  pid_t grandchild = ::fork();
  if (grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
  RunSupervisorProcess(reader, options, device, std::move(wait), cpus, directory);
}

ServerProcess::~ServerProcess() {
  if (child_ > 0) Reap();
}

int ServerProcess::Reap() {
  // ECHILD: the program that started us ignores SIGCHLD, which we inherited.
  return WaitFor(std::exchange(child_, -1)).value_or(0);
}

Result<> ServerProcess::Begin(const std::string& mount) {
  if (Reap() != 0) return Failure(NoProcess("fork: no server process", EAGAIN));
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
