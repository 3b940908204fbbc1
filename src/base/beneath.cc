#include "haft/base/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "haft/base/text.h"

namespace haft {
namespace {

constexpr int kAttempts = 32;

}  // namespace

namespace internal {

UniqueFd OpenComponents(int root, std::string_view path, int flags, unsigned mode) {
  UniqueFd directory;
  int at = root;
  for (;;) {
    const std::string name(TakeUntil(path, '/'));
    if (name == "..") {
      errno = EXDEV;
      return {};
    }
    if (path.empty()) {
      // Where O_PATH opens a symbolic link instead of failing, the caller means directories.
      const bool link_opens = (flags & O_PATH) != 0 && (flags & O_DIRECTORY) == 0;
      UniqueFd fd(
          ::openat(at, name.empty() ? "." : name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode));
      char target;
      if (fd && link_opens && ::readlinkat(fd.get(), "", &target, sizeof target) >= 0) {
        errno = ELOOP;
        return {};
      }
      return fd;
    }
    UniqueFd next(::openat(at, name.empty() ? "." : name.c_str(),
                           O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return {};
    directory = std::move(next);
    at = directory.get();
  }
}

}  // namespace internal

UniqueFd OpenBeneath(int root, const std::string& path, int flags, unsigned mode) {
  static std::atomic<bool> unavailable = false;
  if (!unavailable.load(std::memory_order_relaxed)) {
    open_how how = {};
    how.flags = static_cast<unsigned>(flags) | O_CLOEXEC;
    how.mode = (flags & O_CREAT) != 0 ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    // EAGAIN: something was renamed meanwhile. Not for ever: with O_NONBLOCK a file under a lease
    // says that too.
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      long fd = ::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how);
      if (fd >= 0) return UniqueFd(static_cast<int>(fd));
      if (errno != EINTR && errno != EAGAIN) break;
    }
    if (errno != ENOSYS && errno != EPERM) return {};
    if (errno == ENOSYS) unavailable = true;
  }
  return internal::OpenComponents(root, path, flags, mode);
}

ParentBeneath::Place ParentBeneath::Of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos) return {.directory = root_, .name = path.c_str()};
  const char* name = path.c_str() + slash + 1;
  if (!fd_ || std::string_view(path).substr(0, slash) != path_) {
    path_ = path.substr(0, slash);
    fd_ = OpenBeneath(root_, path_, O_PATH | O_DIRECTORY);
  }
  return {.directory = fd_.get(), .name = name};
}

}  // namespace haft
