#include "private_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "fuse_device.h"
#include "haft/base/file_io.h"
#include "haft/base/pass_descriptor.h"
#include "haft/base/process.h"
#include "haft/base/text.h"
#include "haft/server/server_process.h"
#include "identity.h"
#include "mount_namespace.h"
#include "mount_place.h"
#include "runtime_directory.h"
#include "syscall_filter_check.h"

namespace haft {
namespace {

// From the new mount namespace to the image in its place.
Result<> MountInPlace(const MountRequest& request, const MountPlace& place, int device,
                      const FuseMountOptions& mount) {
  const std::string& on = place.cover.empty() ? place.path : place.cover;
  CarrierMount carrier = TRY(CarrierMount::Find(on));
  TRY(EnterMountNamespace());
  request.clock.Step("mount namespace entered");
  if (!place.cover.empty()) {
    TRY(CoverDirectory(place.cover, place.path, carrier));
    request.clock.Step("{} covered by a copy that has {}", Quoted(place.cover), Quoted(place.path));
    return MountFuse(device, place.path, mount);
  }
  TRY(carrier.Isolate(place.path));
  TRY(MountFuse(device, place.path, mount));
  return carrier.Rejoin();
}

// Everything, in the calling process. Afterwards it is in the namespaces, or half in them.
Result<> Build(const MountRequest& request, const MountPlace& place) {
  if (request.mode == Mode::kUserns) {
    TRY(EnterUserNamespace());
    request.clock.Step("user namespace entered");
  }
  UniqueFd device = TRY(OpenFuseDevice());
  ServerOptions options = ServerOptionsFor(request, place.path);
  const FuseMountOptions mount{
      .uid = options.uid, .gid = options.gid, .allow_other = options.allow_other};
  ServerProcess server = TRY(ServerProcess::Fork(request.reader, options, device, place.directory));
  request.clock.Step("server process forked");
  TRY(MountInPlace(request, place, device.get(), mount));
  device.Reset();
  TRY(server.Begin(place.path));
  request.clock.Step("image mounted on {}", Quoted(place.path));
  if (request.settings.runtime_memory) TRY(MountRuntimeDirectory(place.path));
  return {};
}

// The builder's half of the conversation: a descriptor of the new root, or the error as text. Then
// it keeps the namespaces alive until the other side has joined them.
[[noreturn]] void RunBuilder(const MountRequest& request, const MountPlace& place,
                             UniqueFd channel) noexcept {
  auto built = Build(request, place);
  UniqueFd root;
  if (built) {
    root = UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) built = Failure(Error::FromErrno("'/'"));
  }
  if (built) built = SendDescriptor(channel.get(), root.get());
  if (built) {
    char byte;
    while (::read(channel.get(), &byte, 1) < 0 && errno == EINTR) {
    }
  } else {
    const Error& error = built.error();
    std::string text = fmt::format("{}\n{}\n{}", error.sys_errno(), error.cause(), error.remedy());
    static_cast<void>(WriteAll(channel.get(), AsBytes(text)).has_value());
  }
  ::_exit(0);  // no destructors: the caller's objects are not ours
}

Error ReadError(int channel, std::string text) {
  std::array<char, 1024> buffer;
  for (ssize_t n; (n = ::read(channel, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  auto first = text.find('\n'), last = text.rfind('\n');
  if (first == text.npos || last == first)
    return Error(ErrorKind::kSystem, "the process that mounts ended early");
  return Error(ErrorKind::kSystem, text.substr(first + 1, last - first - 1),
               ToNumber<int>(std::string_view(text).substr(0, first)).value_or(0))
      .Remedy(text.substr(last + 1));
}

// A child that builds the mount. Killed if it is still there when this ends, with all it has built.
class Builder {
 public:
  static Result<Builder> Start(const MountRequest& request, const MountPlace& place) {
    auto [ours, theirs] = TRY(SocketPair());
    pid_t child = ::fork();
    if (child < 0) return Failure(Error::FromErrno("fork"));
    if (child == 0) {
      ours.Reset();
      RunBuilder(request, place, std::move(theirs));
    }
    return Builder(child, std::move(ours));
  }
  Builder(Builder&& other) noexcept
      : child_(std::exchange(other.child_, -1)), channel_(std::move(other.channel_)) {}
  Builder& operator=(Builder&&) = delete;
  ~Builder() {
    channel_.Reset();
    if (child_ > 0) WaitFor(child_);
  }

  pid_t pid() const { return child_; }

  // Waits until it is done; the root directory of its namespace.
  Result<UniqueFd> Root() {
    // One byte with a descriptor, or text without.
    char peeked;
    ssize_t n;
    do {
      n = ::recv(channel_.get(), &peeked, 1, MSG_PEEK);
    } while (n < 0 && errno == EINTR);
    if (n == 1 && peeked == 'f') return ReceiveDescriptor(channel_.get());
    return Failure(ReadError(channel_.get(), ""));
  }

 private:
  Builder(pid_t child, UniqueFd channel) : child_(child), channel_(std::move(channel)) {}
  pid_t child_;
  UniqueFd channel_;
};

Result<> TryToMount(const MountRequest& request, const MountPlace& place) {
  // Joining a namespace changes the working directory to its root. One that may not be entered
  // again can only be kept by never leaving it. Should that fail, the next modes have to do with
  // what is half built.
  if (!MayEnterWorkingDirectory()) return Build(request, place);
  // Nor is a child needed by a process that can come back; one in a user namespace cannot.
  if (request.mode == Mode::kNamespace) {
    if (auto saved = SavedNamespace::Save()) {
      auto built = Build(request, place);
      if (!built) TRY(saved->Return());
      return built;
    }
  }
  Builder builder = TRY(Builder::Start(request, place));
  UniqueFd root = TRY(builder.Root());
  return JoinNamespaces(builder.pid(), request.mode == Mode::kUserns, root.get());
}

Result<std::string> Mount(const MountRequest& request) {
  const MountPlace place = PlaceFor(request);
  auto mounted = TryToMount(request, place);
  if (mounted) return place.path;
  place.directory.Remove();
  if (!mounted.error().remedy().empty() || mounted.error().sys_errno() != EPERM)
    return Failure(std::move(mounted).error());
  return Failure(
      std::move(mounted).error().Remedy("the host or container forbids it (seccomp, AppArmor, "
                                        "capabilities): allow it, or set HAFT_MODE=extract"));
}

}  // namespace

Result<std::string> MountInMountNamespace(const MountRequest& request) {
  if (HasMountCapability()) {
    TRY(CheckSyscallFilter());
    return Mount(request);
  }
  return Failure(Error(ErrorKind::kUnsupported, "no right to mount (CAP_SYS_ADMIN)", EPERM)
                     .Remedy("start it as root"));
}

Result<std::string> MountInUserNamespace(const MountRequest& request) {
  TRY(CheckSyscallFilter());
  return Mount(request);
}

}  // namespace haft
