#include "haft/base/limits.h"

#include <cerrno>
#include <utility>

namespace haft {

Error NoProcess(std::string_view what, int sys_errno) {
  Error error = Error::FromErrno(what, sys_errno);
  if (sys_errno != EAGAIN) return error;
  return std::move(error).Remedy(
      "raise the limit of processes (ulimit -u, systemd: TasksMax=, a container's pids limit)");
}

FileSizeLimit::FileSizeLimit(Files files) {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &action_);
  if (files == Files::kOnDisk || ::getrlimit(RLIMIT_FSIZE, &limit_) < 0 ||
      limit_.rlim_cur == RLIM_INFINITY)
    return;
  const rlimit none{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  const rlimit highest{.rlim_cur = limit_.rlim_max, .rlim_max = limit_.rlim_max};
  lifted_ = ::setrlimit(RLIMIT_FSIZE, &none) == 0 || ::setrlimit(RLIMIT_FSIZE, &highest) == 0;
}

FileSizeLimit::~FileSizeLimit() {
  if (lifted_) ::setrlimit(RLIMIT_FSIZE, &limit_);
  ::sigaction(SIGXFSZ, &action_, nullptr);
}

}  // namespace haft
