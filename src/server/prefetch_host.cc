#include "prefetch_host.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "haft/base/path.h"
#include "haft/base/unique_fd.h"
#include "haft/format/profile.h"
#include "haft/server/sandbox.h"

namespace haft {
namespace {

// At most so many are looked at before it is decided.
constexpr std::size_t kSamples = 8;
// What the kernel's advice takes at a time, on a disk that asks for no more.
constexpr off_t kAdviceBytes = 128 << 10;
// Of larger files a start needs a part.
constexpr off_t kMaxFileSize = 16 << 20;
constexpr std::string_view kUsr = "/usr/";

UniqueFd Open(int directory, const char* path, unsigned flags) {
  open_how how = {};
  how.flags = flags | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how)));
}

// To open a FIFO wakes who waits for that, to open a device may do anything: the type is asked for
// first.
UniqueFd OpenRegular(int directory, const char* path) {
  UniqueFd file = Open(directory, path, O_PATH);
  struct stat status;
  if (!file || ::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode)) return UniqueFd();
  return Open(directory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

// "/usr" of "/usr/bin/python3", whatever links lead to the program; "" if that is no place for a
// prefix.
std::string PrefixOf(const std::string& program) {
  char resolved[PATH_MAX];
  if (!program.starts_with('/') || ::realpath(program.c_str(), resolved) == nullptr) return "";
  const std::string_view path = resolved;
  const std::string_view prefix = DirName(DirName(path));
  return prefix == "/" ? "" : std::string(prefix);
}

class Host {
 public:
  explicit Host(const std::string& prefix)
      : prefix_(::open(prefix.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
        usr_(::open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

  explicit operator bool() const { return prefix_ && usr_; }

  bool Confine() const { return ConfinePrefetchHost(prefix_.get(), usr_.get()); }

  // False if its first byte is not in the page cache, which begins to read it, and on file systems
  // that do not tell (overlayfs).
  bool HasRead(const std::string& path) const {
    UniqueFd file = OpenFile(path);
    if (!file) return true;
    char byte;
    iovec part = {.iov_base = &byte, .iov_len = 1};
    return ::preadv2(file.get(), &part, 1, 0, RWF_NOWAIT) >= 0 ||
           (errno != EAGAIN && errno != EOPNOTSUPP);
  }

  void Read(const std::string& path) const {
    UniqueFd file = OpenFile(path);
    struct stat status;
    if (!file || ::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode) ||
        status.st_size > kMaxFileSize)
      return;
    for (off_t at = 0; at < status.st_size; at += kAdviceBytes)
      ::posix_fadvise(file.get(), at, kAdviceBytes, POSIX_FADV_WILLNEED);
  }

 private:
  UniqueFd OpenFile(const std::string& path) const {
    if (path.starts_with(kUsr)) return OpenRegular(usr_.get(), path.c_str() + kUsr.size());
    return OpenRegular(prefix_.get(), path.c_str());
  }

  UniqueFd prefix_, usr_;
};

}  // namespace

void PrefetchHost(const ImageReader& reader, const std::string& program) {
  if (reader.bundle().trailer.profile_size == 0) return;
  const std::string prefix = PrefixOf(program);
  const Host host(prefix);
  if (prefix.empty() || !host) return;
  if (!host.Confine()) return;
  auto lists = format::ReadPrefetchPlan(reader.fd(), reader.bundle());
  if (!lists || lists->host.empty()) return;
  const std::vector<std::string>& paths = lists->host;
  // All are read by Python alike: where some are, the others are too.
  const std::size_t step = (paths.size() + kSamples - 1) / kSamples;
  bool cached = true;
  for (std::size_t i = 0; cached && i < paths.size(); i += step) cached = host.HasRead(paths[i]);
  if (cached) return;
  for (const std::string& path : paths) host.Read(path);
}

}  // namespace haft
