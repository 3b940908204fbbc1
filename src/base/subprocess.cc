#include "haft/base/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "haft/base/file_io.h"
#include "haft/base/interruption.h"
#include "haft/base/pass_descriptor.h"
#include "haft/base/process.h"
#include "haft/base/process_fd.h"

namespace haft {
namespace {

constexpr std::size_t kMaxErrors = 64u << 10;
constexpr int kChannelDescriptor = 3;

// The same file under a number that no standard stream and no channel has.
Result<UniqueFd> MoveUp(UniqueFd fd) {
  if (fd.get() > kChannelDescriptor) return fd;
  int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kChannelDescriptor + 1);
  if (copy < 0) return Failure(Error::FromErrno("fcntl"));
  return UniqueFd(copy);
}

// The calling thread's personality, which a child inherits, changed for a while.
class FixedAddresses {
 public:
  explicit FixedAddresses(bool wanted) {
    if (!wanted) return;
    previous_ = ::personality(0xFFFFFFFF);
    if (previous_ != -1) ::personality(static_cast<unsigned>(previous_) | ADDR_NO_RANDOMIZE);
  }
  ~FixedAddresses() {
    if (previous_ != -1) ::personality(static_cast<unsigned>(previous_));
  }
  FixedAddresses(const FixedAddresses&) = delete;
  FixedAddresses& operator=(const FixedAddresses&) = delete;

 private:
  int previous_ = -1;
};

// posix_spawn's two parameter objects, set up once.
class SpawnSettings {
 public:
  // REQUIRES: the descriptors are above 3, so that none is replaced before it is used.
  SpawnSettings(ChannelPlace place, int channel, int errors, bool new_session) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
    if (place == ChannelPlace::kStandardStreams) {
      ::posix_spawn_file_actions_adddup2(&actions_, channel, STDIN_FILENO);
      ::posix_spawn_file_actions_adddup2(&actions_, channel, STDOUT_FILENO);
    } else {
      ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
      ::posix_spawn_file_actions_adddup2(&actions_, errors, STDOUT_FILENO);
      ::posix_spawn_file_actions_adddup2(&actions_, channel, kChannelDescriptor);
    }
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setflags(&attributes_,
                               static_cast<short>(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                  (new_session ? POSIX_SPAWN_SETSID : 0)));
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigaddset(&signals, SIGPIPE);
    ::sigaddset(&signals, SIGXFSZ);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// The status of a child, which is gone afterwards.
Result<int> StatusOf(pid_t child) {
  const auto status = haft::WaitFor(child);
  if (!status) return Failure(Error::FromErrno("waitpid"));
  return *status;
}

}  // namespace

Result<> Subprocess::Spawn(const Command& command, int channel, int errors) {
  if (command.confine) TRY(command.confine());
  std::vector<std::string> arguments = {command.program};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  SpawnSettings settings(command.channel, channel, errors, command.new_session);
  FixedAddresses fixed(command.fixed_addresses);
  int error =
      ::posix_spawn(&pid_, command.program.c_str(), settings.actions(), settings.attributes(),
                    Pointers(arguments).data(), Pointers(command.environment).data());
  if (error == 0) return {};
  pid_ = -1;
  return Failure(Error::FromErrno(Quoted(command.program), error));
}

Result<Subprocess> Subprocess::Start(const Command& command) {
  auto [ours, theirs] = TRY(SocketPair());
  Subprocess child;
  child.channel_ = std::move(ours);
  UniqueFd childs_end = TRY(MoveUp(std::move(theirs)));
  UniqueFd errors(::memfd_create("stderr", MFD_CLOEXEC));
  if (!errors) return Failure(Error::FromErrno("memfd_create"));
  child.errors_ = TRY(MoveUp(std::move(errors)));

  Result<> started;
  const auto spawn = [&] { started = child.Spawn(command, childs_end.get(), child.errors_.get()); };
  if (command.confine) {
    std::thread(spawn).join();
  } else {
    spawn();
  }
  TRY(std::move(started));
  child.leads_session_ = command.new_session;
  return child;
}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      leads_session_(other.leads_session_),
      channel_(std::move(other.channel_)),
      errors_(std::move(other.errors_)) {}

Subprocess& Subprocess::operator=(Subprocess other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(leads_session_, other.leads_session_);
  std::swap(channel_, other.channel_);
  std::swap(errors_, other.errors_);
  return *this;
}

Subprocess::~Subprocess() {
  if (pid_ < 0) return;
  Kill();
  static_cast<void>(Wait().has_value());
}

void Subprocess::Kill() {
  ::kill(pid_, SIGKILL);
  // Its process group has its number: not reaped yet, it cannot be anybody else's.
  if (leads_session_) ::kill(-pid_, SIGKILL);
}

Result<> Subprocess::Send(std::span<const std::byte> data) {
  while (!data.empty()) {
    ssize_t n = ::send(channel_.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failure(Error::FromErrno("write to a child"));
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

void Subprocess::EndInput() {
  ::shutdown(channel_.get(), SHUT_WR);
}

Result<std::size_t> Subprocess::Receive(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    if (const int interruption = Interruption::Descriptor(); interruption >= 0) {
      pollfd waits[] = {{.fd = channel_.get(), .events = POLLIN, .revents = 0},
                        {.fd = interruption, .events = POLLIN, .revents = 0}};
      if (::poll(waits, 2, -1) < 0) continue;  // EINTR, perhaps by the very signal
      if (waits[1].revents != 0) {
        Kill();
        TRY(Interruption::Check());
      }
    }
    ssize_t n = ::recv(channel_.get(), out.data() + done, out.size() - done, 0);
    if (n < 0 && errno == EINTR) continue;
    // A child that ends without having read all of its input resets the connection.
    if (n == 0 || (n < 0 && errno == ECONNRESET)) break;
    if (n < 0) return Failure(Error::FromErrno("read from a child"));
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<UniqueFd> Subprocess::ReceiveDescriptor() {
  return haft::ReceiveDescriptor(channel_.get());
}

Result<int> Subprocess::Wait() {
  return StatusOf(std::exchange(pid_, -1));
}

Result<std::optional<int>> Subprocess::WaitFor(std::chrono::milliseconds limit) {
  UniqueFd process = OpenProcess(pid_);
  if (!process) return Failure(Error::FromErrno("pidfd_open"));
  pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    int ready = ::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return Failure(Error::FromErrno("poll"));
    if (leads_session_ || ready == 0) Kill();  // what it left behind in its process group as well
    int status = TRY(Wait());
    if (ready == 0) return std::nullopt;
    return status;
  }
}

std::string Subprocess::StandardError() const {
  std::string text(kMaxErrors, '\0');
  text.resize(ReadUpTo(errors_.get(), std::as_writable_bytes(std::span(text)), 0).value_or(0));
  return text;
}

Result<CommandOutput> RunCommand(const Command& command, std::size_t limit) {
  Subprocess child = TRY(Subprocess::Start(command));
  child.EndInput();
  std::string out(limit + 1, '\0');
  out.resize(TRY(child.Receive(std::as_writable_bytes(std::span(out)))));
  if (out.size() > limit) {
    return Failure(Error::Invalid(
        fmt::format("{}: wrote more than {} bytes", Quoted(command.program), limit)));
  }
  int status = TRY(child.Wait());
  return CommandOutput{.status = status, .out = std::move(out), .errors = child.StandardError()};
}

Result<ForegroundChild> ForegroundChild::Start(const Command& command) {
  std::vector<std::string> arguments = {command.program};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  const std::vector<char*> argv = Pointers(arguments), environment = Pointers(command.environment);
  const pid_t parent = ::getpid();
  // posix_spawn cannot ask for PR_SET_PDEATHSIG. Until exec the child only makes system calls:
  // there may be threads.
  pid_t pid = ::fork();
  if (pid < 0) return Failure(Error::FromErrno("fork"));
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::umask(022);
    sigset_t none;
    ::sigemptyset(&none);
    ::signal(SIGPIPE, SIG_DFL);
    ::signal(SIGXFSZ, SIG_DFL);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    ::execve(command.program.c_str(), argv.data(), environment.data());
    ::_exit(127);
  }
  return ForegroundChild(pid);
}

ForegroundChild::~ForegroundChild() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  static_cast<void>(Wait().has_value());
}

Result<int> ForegroundChild::Wait() {
  return StatusOf(std::exchange(pid_, -1));
}

std::string DescribeStatus(int status) {
  if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  const char* name = ::sigdescr_np(WTERMSIG(status));
  return fmt::format("killed by signal {} ({})", WTERMSIG(status),
                     name != nullptr ? name : "unknown");
}

}  // namespace haft
