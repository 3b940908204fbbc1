#include "haft/base/interruption.h"

#include <signal.h>

namespace haft {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

volatile sig_atomic_t noted = 0;

void Note(int signal) {
  if (noted == 0) noted = signal;
}

}  // namespace

Interruption::Interruption() {
  noted = 0;
  for (int signal : kSignals) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    struct sigaction action = {};
    action.sa_handler = Note;
    action.sa_flags = SA_RESETHAND;  // and no SA_RESTART
    ::sigaction(signal, &action, nullptr);
  }
}

Interruption::~Interruption() {
  noted = 0;
  for (int signal : kSignals) {
    struct sigaction now = {};
    ::sigaction(signal, nullptr, &now);
    if (now.sa_handler == Note) ::signal(signal, SIG_DFL);
  }
}

int Interruption::Signal() { return noted; }

Result<> Interruption::Check() {
  if (noted == 0) return {};
  return Failure(Error(ErrorKind::kSystem, "interrupted"));
}

}  // namespace haft
