#include "haft/base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"

namespace haft {
namespace {

constexpr int kAttempts = 100;

std::string RandomName() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) {
    static std::uint64_t counter = 0;
    number = static_cast<std::uint64_t>(::getpid()) << 32 | ++counter;
  }
  return fmt::format(".haft-{:016x}", number);
}

bool IsRandomName(std::string_view name) {
  constexpr std::string_view kPrefix = ".haft-";
  return name.size() == kPrefix.size() + 16 && name.starts_with(kPrefix) &&
         name.find_first_not_of("0123456789abcdef", kPrefix.size()) == name.npos;
}

// Held until the descriptor is closed, so that a later one can tell what a killed one has left
// behind.
bool Lock(int fd) {
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
}

// Removes what killed processes of this user have left.
void RemoveAbandoned(int directory) {
  for (const std::string& name : NamesIn(directory)) {
    if (!IsRandomName(name)) continue;
    UniqueFd fd(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status;
    bool ours = fd && ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                status.st_uid == ::geteuid();
    if (ours && Lock(fd.get())) ::unlinkat(directory, name.c_str(), 0);
  }
}

// Where linkat() finds a file without a name.
std::string ProcPath(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

}  // namespace

Error AtomicFile::Failed(int sys_errno) const {
  return Error::FromErrno("write " + Quoted(path_), sys_errno);
}

Result<AtomicFile> AtomicFile::Create(const std::string& path, unsigned mode) {
  AtomicFile file;
  file.path_ = path;
  file.name_ = BaseName(path);
  std::string directory(DirName(path));
  if (directory.empty()) directory = ".";
  struct stat status;
  if (file.name_.empty() || file.name_ == "." || file.name_ == ".." ||
      (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))) {
    return Failure(file.Failed(EISDIR));
  }
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return Failure(
        Error::Invalid(fmt::format("write {}: exists and is no regular file", Quoted(path)))
            .Remedy("choose another name"));
  }
  file.directory_ = UniqueFd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.directory_ && errno == ENOENT) {
    return Failure(Error(ErrorKind::kNotFound, fmt::format("write {}: no such directory {}",
                                                           Quoted(path), Quoted(directory)))
                       .Remedy("create it"));
  }
  if (!file.directory_) return Failure(file.Failed(errno));
  RemoveAbandoned(file.directory_.get());

  int fd = ::openat(file.directory_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  if (fd >= 0 && ::access(ProcPath(fd).c_str(), F_OK) == 0) {
    file.fd_ = UniqueFd(fd);
    Lock(fd);
    return file;
  }
  if (fd >= 0) ::close(fd);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string name = RandomName();
    fd = ::openat(file.directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0) {
      file.fd_ = UniqueFd(fd);
      // Somebody who cleans up may have been faster than the lock.
      if (!Lock(fd) || ::fstat(fd, &status) < 0 || status.st_nlink == 0) continue;
      file.temporary_ = std::move(name);
      return file;
    }
    if (errno != EEXIST) break;
  }
  return Failure(file.Failed(errno));
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlinkat(directory_.get(), temporary_.c_str(), 0);
}

Result<> AtomicFile::Commit() {
  if (::fsync(fd_.get()) < 0) return Failure(Failed(errno));
  TRY(Publish());
  // The file is complete under its name; a directory that cannot be flushed does not change that.
  static_cast<void>(::fsync(directory_.get()));
  return {};
}

Result<> AtomicFile::Publish() {
  if (temporary_.empty()) {
    const std::string unnamed = ProcPath(fd_.get());
    auto link = [&](const std::string& name) {
      return ::linkat(AT_FDCWD, unnamed.c_str(), directory_.get(), name.c_str(), AT_SYMLINK_FOLLOW);
    };
    // A new name is taken in one step; only an existing one needs a name to rename from.
    if (link(name_) == 0) return {};
    for (int attempt = 0; errno == EEXIST && attempt < kAttempts; ++attempt) {
      std::string name = RandomName();
      if (link(name) == 0) {
        temporary_ = std::move(name);
        break;
      }
    }
    if (temporary_.empty()) return Failure(Failed(errno));
  }
  if (::renameat(directory_.get(), temporary_.c_str(), directory_.get(), name_.c_str()) < 0) {
    return Failure(Failed(errno));
  }
  temporary_.clear();
  return {};
}

}  // namespace haft
