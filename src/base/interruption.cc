#include "haft/base/interruption.h"

#include <signal.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>

namespace haft {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> noted = 0;
std::atomic<int> descriptor = -1;
static_assert(std::atomic<int>::is_always_lock_free);  // for the handler

void Note(int signal) {
  const int saved = errno;
  int none = 0;
  noted.compare_exchange_strong(none, signal);
  ::eventfd_write(descriptor, 1);
  errno = saved;
}

}  // namespace

Interruption::Interruption() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  noted = 0;
  descriptor = event_ ? event_.get() : -1;
  for (int signal : kSignals) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action = {};
    action.sa_handler = Note;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(signal, &action, nullptr);
  }
}

Interruption::~Interruption() {
  for (int signal : kSignals) {
    struct sigaction now = {};
    ::sigaction(signal, nullptr, &now);
    if (now.sa_handler == Note) ::signal(signal, SIG_DFL);
  }
  descriptor = -1;
}

int Interruption::Signal() {
  return noted;
}

Result<> Interruption::Check() {
  if (noted == 0) return {};
  return Failure(Error(ErrorKind::kSystem, "interrupted"));
}

int Interruption::Descriptor() {
  return descriptor;
}

}  // namespace haft
