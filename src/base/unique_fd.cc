#include "haft/base/unique_fd.h"

#include <unistd.h>

#include <cerrno>

namespace haft {

void UniqueFd::Reset() {
  if (fd_ < 0) return;
  int saved = errno;
  // Not retried on EINTR: Linux has released the descriptor by then.
  ::close(std::exchange(fd_, -1));
  errno = saved;
}

}  // namespace haft
