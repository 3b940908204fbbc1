#pragma once

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// While it lives, SIGINT, SIGTERM and SIGHUP do not end this process: they are noted. So work that
// is broken off can end what it has started and remove what it has made; RunCommand() and
// ExtractImage() end early. A signal that is ignored stays so. The same signal a second time does
// what it always does. One at a time.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // For all threads, also where there is no Interruption:

  // The first signal that came since the newest one was made, 0 if none has.
  static int Signal();
  // An error once a signal has come.
  static Result<> Check();
  // Becomes readable (POLLIN) when a signal comes, for waiting without missing it; -1, which
  // poll(2) leaves out, if there is none.
  static int Descriptor();

 private:
  UniqueFd event_;
};

}  // namespace haft
