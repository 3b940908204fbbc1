#include "own_terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/base/unique_fd.h"

namespace haft::cli {
namespace {

constexpr std::array kStreams = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};

// One of our standard streams that is a terminal, -1 if none is: the best to write to first.
int OurTerminal() {
  for (int fd : {STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO}) {
    if (::isatty(fd) == 1) return fd;
  }
  return -1;
}

// Keys reach the new terminal as they are typed, as long as this object lives.
class RawTerminal {
 public:
  RawTerminal() {
    if (::isatty(STDIN_FILENO) != 1 || ::tcgetpgrp(STDIN_FILENO) != ::getpgrp() ||
        ::tcgetattr(STDIN_FILENO, &before_) < 0)
      return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }

 private:
  termios before_ = {};
  bool changed_ = false;
};

struct Copy {
  int from, to;
  bool open = true;
};

class Session {
 public:
  Result<> Open(unsigned owner);
  // In the child: its streams and its session.
  bool Enter();
  // In the parent, until the child has ended; its status.
  int Serve(pid_t child, int signals);
  void CopySize() const;

 private:
  Result<> OpenTerminal(unsigned owner);
  bool CopyOnce(Copy& copy);
  void SendInput();

  int terminal_ = OurTerminal();
  UniqueFd master_, slave_;
  std::array<UniqueFd, 3> ours_, theirs_;  // ends of pipes; none where it is the terminal
  std::vector<Copy> outputs_;
  std::string input_;  // read, and not yet taken
  bool input_open_ = true;
};

Result<> Session::OpenTerminal(unsigned owner) {
  master_ = UniqueFd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master_ || ::grantpt(master_.get()) < 0 || ::unlockpt(master_.get()) < 0)
    return Failure(Error::FromErrno("a new terminal"));
  // Not by its name, which may mean something else here.
  slave_ = UniqueFd(::ioctl(master_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave_) return Failure(Error::FromErrno("a new terminal"));
  [[maybe_unused]] int ignored = ::fchown(slave_.get(), owner, static_cast<gid_t>(-1));
  termios settings;
  if (::tcgetattr(terminal_, &settings) == 0) ::tcsetattr(slave_.get(), TCSANOW, &settings);
  CopySize();
  return {};
}

Result<> Session::Open(unsigned owner) {
  if (terminal_ >= 0) TRY(OpenTerminal(owner));
  for (int fd : kStreams) {
    const auto i = static_cast<std::size_t>(fd);
    if (::isatty(fd) == 1) continue;
    std::array<int, 2> ends;
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return Failure(Error::FromErrno("pipe"));
    const bool in = fd == STDIN_FILENO;
    theirs_[i] = UniqueFd(ends[in ? 0 : 1]);
    ours_[i] = UniqueFd(ends[in ? 1 : 0]);
    if (!in) outputs_.push_back({.from = ours_[i].get(), .to = fd});
  }
  if (master_) outputs_.push_back({.from = master_.get(), .to = terminal_});
  const int to_child = ours_[0] ? ours_[0].get() : master_.get();
  ::fcntl(to_child, F_SETFL, ::fcntl(to_child, F_GETFL) | O_NONBLOCK);
  return {};
}

void Session::CopySize() const {
  winsize size;
  if (master_ && ::ioctl(terminal_, TIOCGWINSZ, &size) == 0)
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
}

bool Session::Enter() {
  if (::setsid() < 0) return false;
  if (slave_ && ::ioctl(slave_.get(), TIOCSCTTY, 0) < 0) return false;
  for (int fd : kStreams) {
    const UniqueFd& end = theirs_[static_cast<std::size_t>(fd)];
    if (::dup2(end ? end.get() : slave_.get(), fd) < 0) return false;
  }
  for (UniqueFd& end : ours_) end.Reset();
  master_.Reset();
  return true;
}

// False: nothing came.
bool Session::CopyOnce(Copy& copy) {
  std::array<char, 16384> buffer;
  const ssize_t n = ::read(copy.from, buffer.data(), buffer.size());
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return false;
  // EIO: nobody has the terminal any more.
  copy.open = n > 0 && WriteAll(copy.to, AsBytes({buffer.data(), static_cast<std::size_t>(n)}));
  return copy.open;
}

void Session::SendInput() {
  const int to = ours_[0] ? ours_[0].get() : master_.get();
  if (input_.empty()) {
    std::array<char, 16384> buffer;
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    input_open_ = n > 0;
    if (input_open_) input_.assign(buffer.data(), static_cast<std::size_t>(n));
    if (!input_open_) ours_[0].Reset();  // the end, for who reads it
  }
  if (input_.empty()) return;
  const ssize_t n = ::write(to, input_.data(), input_.size());
  if (n > 0) input_.erase(0, static_cast<std::size_t>(n));
  if (n >= 0 || errno == EAGAIN || errno == EINTR) return;
  input_.clear();
  input_open_ = false;
  ours_[0].Reset();
}

int Session::Serve(pid_t child, int signals) {
  for (UniqueFd& end : theirs_) end.Reset();
  slave_.Reset();
  const RawTerminal raw;
  int status = 0;
  for (bool ended = false;;) {
    const int to = ours_[0] ? ours_[0].get() : master_.get();
    std::vector<pollfd> polled = {{.fd = signals, .events = POLLIN, .revents = 0}};
    if (input_open_ && !ended) {
      const bool waiting = !input_.empty();
      polled.push_back({.fd = waiting ? to : STDIN_FILENO,
                        .events = static_cast<short>(waiting ? POLLOUT : POLLIN),
                        .revents = 0});
    } else {
      polled.push_back({.fd = -1, .events = 0, .revents = 0});
    }
    for (const Copy& copy : outputs_)
      polled.push_back({.fd = copy.open ? copy.from : -1, .events = POLLIN, .revents = 0});
    // After the end: what it has written, not what others may still write.
    const int ready = ::poll(polled.data(), polled.size(), ended ? 0 : -1);
    if (ready < 0 && errno == EINTR) continue;
    bool copied = false;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (polled[i + 2].revents != 0) copied |= CopyOnce(outputs_[i]);
    }
    if (ended && !copied) return status;
    if (polled[1].revents != 0) SendInput();
    signalfd_siginfo signal;
    if (polled[0].revents == 0 || ::read(signals, &signal, sizeof signal) != sizeof signal)
      continue;
    if (signal.ssi_signo == SIGCHLD) {
      ended |= ::waitpid(child, &status, WNOHANG) == child;
    } else if (signal.ssi_signo == SIGWINCH) {
      CopySize();
    } else {
      ::kill(-child, static_cast<int>(signal.ssi_signo));
    }
  }
}

}  // namespace

Result<int> RunInOwnTerminal(unsigned owner, const std::function<int()>& program) {
  Session session;
  TRY(session.Open(owner));
  sigset_t handled, before;
  ::sigemptyset(&handled);
  for (int signal : {SIGCHLD, SIGWINCH, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
    ::sigaddset(&handled, signal);
  ::signal(SIGCHLD, SIG_DFL);
  ::sigprocmask(SIG_BLOCK, &handled, &before);
  const UniqueFd signals(::signalfd(-1, &handled, SFD_CLOEXEC));
  if (!signals) return Failure(Error::FromErrno("signalfd"));
  const pid_t child = ::fork();
  if (child < 0) return Failure(Error::FromErrno("fork"));
  if (child == 0) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    ::_exit(session.Enter() ? program() : 125);
  }
  ::signal(SIGPIPE, SIG_IGN);
  const int status = session.Serve(child, signals.get());
  ::signal(SIGPIPE, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return status;
}

}  // namespace haft::cli
