#pragma once

#include <sys/stat.h>

namespace haft {

// While it lives, files and directories get exactly the modes they are asked for. A umask such as
// 0777 would create directories that their owner cannot open. The umask is per process: REQUIRES
// that no other thread creates files meanwhile.
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
