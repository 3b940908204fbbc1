#pragma once

#include <sys/stat.h>

namespace haft {

// While it lives, files and directories get the modes they are asked for, whatever the user's
// umask; one that takes bits from the owner would make a directory that its own maker cannot open.
// The umask is the process's: nobody else makes files meanwhile.
class ClearUmask {
 public:
  ClearUmask() : saved_(::umask(0)) {}
  ~ClearUmask() { ::umask(saved_); }
  ClearUmask(const ClearUmask&) = delete;
  ClearUmask& operator=(const ClearUmask&) = delete;

 private:
  mode_t saved_;
};

}  // namespace haft
