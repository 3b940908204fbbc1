#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "commands.h"
#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/process.h"
#include "haft/base/subprocess.h"
#include "haft/fuse/fuse_server.h"
#include "haft/mount/host_mount.h"
#include "haft/server/sandbox.h"
#include "haft/server/server_process.h"
#include "input_file.h"

namespace haft::cli {
namespace {

// An empty directory; a dead mount of ours on it is taken away first.
Result<> PrepareMountPoint(const std::string& path) {
  switch (TRY(FindHostMount(path))) {
    case HostMount::kDead:
      TRY(Unmount(path, UnmountHow::kLazily));
      break;
    case HostMount::kAlive:
      return Failure(Error::Invalid(fmt::format("{}: a bundle is mounted there", Quoted(path)))
                         .Remedy("use another directory or 'haft umount' it first"));
    case HostMount::kNone:
      break;
  }
  DirectoryStream stream(path);
  if (!stream) return Failure(Error::FromErrno(Quoted(path)).Remedy("name an empty directory"));
  if (stream.Next() == nullptr) return {};
  return Failure(Error::Invalid(fmt::format("{}: the directory is not empty", Quoted(path)))
                     .Remedy("name an empty one"));
}

struct Served {
  std::string path;
  ServerOptions options;
  bool foreground;
};

// The life of the process that serves. Tells `report` that it is mounted with one byte, else why
// not, before anything of the image is decoded.
[[noreturn]] void Serve(ImageReader reader, const Served& what, UniqueFd report) noexcept {
  std::vector<int> keep = reader.Descriptors();
  auto server = [&]() -> Result<FuseServer> {
    FuseServer made = TRY(FuseServer::Create(std::move(reader), what.options));
    TRY(made.MountOn(what.path));
    return made;
  }();
  // The terminal's signals are for the process that waits, from before it knows of the mount.
  if (what.foreground)
    for (int signal : {SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(signal, SIG_IGN);
  const std::string said = server ? "\n" : server.error().message();
  static_cast<void>(WriteAll(report.get(), AsBytes(said)).has_value());
  if (!server) ::_exit(1);
  report.Reset();
  keep.push_back(server->device());
  if (what.foreground) {
    ::prctl(PR_SET_NAME, "haft-server");
  } else {
    DetachProcess("haft-server", keep);
  }
  ::signal(SIGTERM, SIG_DFL);
  server->Prepare();
  GiveUpPrivileges();
  ConfineServer(server->device());
  ::_exit(server->Run() ? 0 : 1);  // no destructors: unmounting is not its business any more
}

// What a child writes to the other end: nothing more than a newline, or what went wrong.
Result<> ReceiveReport(UniqueFd reading) {
  std::string message;
  std::array<char, 512> buffer;
  for (;;) {
    ssize_t n = ::read(reading.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    message.append(buffer.data(), static_cast<std::size_t>(n));
    if (message[0] == '\n') return {};
  }
  if (message.empty()) message = "the server ended before it had mounted";
  return Failure(Error(ErrorKind::kSystem, std::move(message)));
}

// Those that end a mount, and the one that says that its server ended.
sigset_t WaitedFor() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&signals, signal);
  return signals;
}

void BlockSignals() {
  const sigset_t signals = WaitedFor();
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(signal, SIG_DFL);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
}

// The server, a child that may do nothing but serve; it has mounted.
Result<pid_t> StartServer(ImageReader reader, const Served& what) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return Failure(Error::FromErrno("pipe"));
  UniqueFd reading(ends[0]), writing(ends[1]);
  BlockSignals();
  const pid_t server = ::fork();
  if (server < 0) return Failure(Error::FromErrno("fork"));
  if (server == 0) {
    const sigset_t signals = WaitedFor();
    ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
    reading.Reset();
    Serve(std::move(reader), what, std::move(writing));
  }
  writing.Reset();
  TRY(ReceiveReport(std::move(reading)));
  return server;
}

// Until the server ended. SIGTERM, SIGINT and SIGHUP unmount, which ends it.
Result<> WaitForServer(pid_t server, const std::string& path) {
  BlockSignals();
  const sigset_t signals = WaitedFor();
  int status = 0;
  bool unmounted = false;
  while (::waitpid(server, &status, WNOHANG) == 0) {
    int signal = 0;
    if (::sigwait(&signals, &signal) == 0 && signal != SIGCHLD)
      unmounted |= Unmount(path, UnmountHow::kLazily).has_value();
  }
  // A signal to the whole group may have ended the server as well, which is no fault then.
  if (unmounted) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) return Unmount(path, UnmountHow::kLazily);
  // Whoever uses it gets errors. Without the mount he would see an empty directory.
  return Failure(Error(ErrorKind::kSystem,
                       fmt::format("{}: the server: {}", Quoted(path), DescribeStatus(status)))
                     .Remedy("'haft umount' takes away what it left"));
}

template <typename Body>
[[noreturn]] void ServeDetached(Body serve, UniqueFd report) noexcept {
  // One byte says that it is mounted; else the message of the error follows.
  auto served = serve([&] {
    static_cast<void>(WriteAll(report.get(), AsBytes("\n")).has_value());
    report.Reset();
  });
  if (!served && report)
    static_cast<void>(WriteAll(report.get(), AsBytes(served.error().message())).has_value());
  ::_exit(served ? 0 : 1);
}

// Runs `serve` in a detached child. Returns once it is mounted, or an error that says why it is
// not.
template <typename Body>
Result<> RunDetached(Body serve) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return Failure(Error::FromErrno("pipe"));
  UniqueFd reading(ends[0]), writing(ends[1]);
  pid_t child = ::fork();
  if (child < 0) return Failure(Error::FromErrno("fork"));
  if (child == 0) {
    reading.Reset();
    ServeDetached(std::move(serve), std::move(writing));
  }
  writing.Reset();
  return ReceiveReport(std::move(reading));
}

void DefineMount(CommandLine& line) {
  line.Flag("foreground", "stay in the foreground; Ctrl-C unmounts")
      .Flag("allow-other", "let other users read it too, as far as file modes allow")
      .Positional({"FILE", "DIR"}, 2);
}

Result<int> RunMount(const Arguments& arguments) {
  ImageReader reader = TRY(OpenImage(arguments.Get("FILE")));
  std::string path = TRY(ResolveMountPoint(arguments.Get("DIR")));
  TRY(PrepareMountPoint(path));
  ServerOptions options{
      .uid = ::getuid(), .gid = ::getgid(), .allow_other = arguments.Has("allow-other")};
  bool foreground = arguments.Has("foreground");

  auto serve = [&](auto mounted) -> Result<> {
    const pid_t server = TRY(StartServer(
        std::move(reader), {.path = path, .options = options, .foreground = foreground}));
    BlockSignals();  // one that comes from now on is waited for
    mounted();
    if (!foreground) DetachProcess("haft-mount", {});
    return WaitForServer(server, path);
  };
  if (foreground) {
    TRY(serve([] {}));
  } else {
    TRY(RunDetached(serve));
  }
  return kOk;
}

void DefineUmount(CommandLine& line) {
  line.Flag("lazy", "also if it is in use: it disappears now and ends with its last user")
      .Positional({"DIR"}, 1);
}

Result<int> RunUmount(const Arguments& arguments) {
  std::string path = TRY(ResolveMountPoint(arguments.Get("DIR")));
  if (!IsHostMount(path)) {
    return Failure(Error::Invalid(fmt::format("{}: no bundle is mounted there", Quoted(path))));
  }
  TRY(Unmount(path, arguments.Has("lazy") ? UnmountHow::kLazily : UnmountHow::kUnlessBusy));
  return kOk;
}

}  // namespace

constinit const Command kMountCommand = {
    .name = "mount",
    .summary = "mount a bundle's files on a directory",
    .synopsis = "[OPTION...] FILE DIR",
    .description =
        "Mounts the files of a bundle or zip archive on an empty directory, read-only, until 'haft "
        "umount DIR'.",
    .example =
        "  mkdir look && haft mount certbot look && ls look/site-packages && haft umount look",
    .define = DefineMount,
    .run = RunMount,
};

constinit const Command kUmountCommand = {
    .name = "umount",
    .summary = "end such a mount",
    .synopsis = "[OPTION...] DIR",
    .description = "Ends what 'haft mount' made; its server ends too.",
    .example = "  haft umount look",
    .define = DefineUmount,
    .run = RunUmount,
};

}  // namespace haft::cli
