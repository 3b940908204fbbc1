#pragma once

#include "haft/base/error.h"

namespace haft {

// While it lives, SIGINT, SIGTERM and SIGHUP do not end this process: they are noted, and system calls that wait return EINTR. So
// work that is broken off can end what it has started and remove what it has made; RunCommand() and ExtractImage() end early.
// A signal that is ignored stays so. The same signal a second time does what it always does. One at a time.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // The first signal that came, 0 if none has. In any thread, also where there is no Interruption.
  static int Signal();
  // An error once a signal has come.
  static Result<> Check();
};

}  // namespace haft
