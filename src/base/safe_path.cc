#include "haft/base/safe_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/text.h"

namespace haft {
namespace internal {

bool IsMapped(std::string_view uid_map, unsigned long id) {
  for (std::string_view line : Lines(uid_map)) {
    std::array<unsigned long, 3> numbers = {};  // first inside, first outside, count
    std::size_t count = 0;
    for (std::string_view word : Words(line)) {
      if (count < numbers.size())
        std::from_chars(word.data(), word.data() + word.size(), numbers[count++]);
    }
    if (id >= numbers[0] && id - numbers[0] < numbers[2]) return true;
  }
  return false;
}

}  // namespace internal

namespace {

constexpr int kMostLinks = 40;  // as the kernel
constexpr unsigned long kDefaultOverflowUser = 65534;

// Root's on every host.
constexpr auto kSystemDirectories =
    std::to_array<std::string_view>({"/", "/dev", "/dev/shm", "/home", "/run", "/run/shm",
                                     "/run/user", "/tmp", "/var", "/var/cache", "/var/tmp"});
// With all that is in them.
constexpr auto kSystemTrees = std::to_array<std::string_view>({"/bin", "/etc", "/lib", "/usr"});

bool IsSystemPath(std::string_view path) {
  if (std::ranges::find(kSystemDirectories, path) != kSystemDirectories.end()) return true;
  return std::ranges::any_of(kSystemTrees, [&](std::string_view tree) {
    return path.starts_with(tree) && (path.size() == tree.size() || path[tree.size()] == '/');
  });
}

// What a user namespace makes of owners. Read when an owner is not plainly this user or root.
struct UserNames {
  unsigned long overflow = kDefaultOverflowUser;
  bool overflow_is_mapped = true;  // then files of that owner may be of a user who is called so
  bool all_are_mapped = true;

  static UserNames Read() {
    UserNames names;
    if (auto text = ReadWholeFile("/proc/sys/kernel/overflowuid", 64))
      std::from_chars(text->data(), text->data() + text->size(), names.overflow);
    auto map = ReadWholeFile("/proc/self/uid_map", 64u << 10);
    if (!map) return names;
    names.overflow_is_mapped = internal::IsMapped(*map, names.overflow);
    names.all_are_mapped = Words(*map).size() == 3 && Words(*map)[2] == "4294967295";
    return names;
  }
};

bool WritableByOthers(const struct stat& status) {
  return (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

class Walk {
 public:
  explicit Walk(TrustedOwners owners) : owners_(owners) {}

  // To a directory, or to a file where `flags` are those of the file.
  Result<SafePath> To(const std::string& path, const int* file_flags) {
    std::string start = "/";
    if (!path.starts_with('/')) {
      char directory[PATH_MAX];
      if (::getcwd(directory, sizeof directory) == nullptr)
        return Failure(Error::FromErrno(Quoted(path)));
      start = fmt::format("{}/", directory);
    }
    rest_ = start + path;
    TRY(Enter(UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), "/"));
    while (!rest_.empty()) {
      const std::string name = TakeComponent();
      if (name.empty() || name == ".") continue;
      if (name == "..") {
        TRY(Enter(UniqueFd(::openat(fd_.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC)),
                  std::string(DirName(path_))));
        continue;
      }
      const bool last = rest_.find_first_not_of('/') == rest_.npos;
      if (file_flags == nullptr || !last) {
        TRY(Step(name));
      } else if (auto found = TRY(StepToFile(name, *file_flags)); found.fd) {
        return found;
      }
    }
    if (file_flags != nullptr) return Failure(Error::FromErrno(Quoted(path_), EISDIR));
    return SafePath{.path = std::move(path_), .fd = std::move(fd_)};
  }

 private:
  std::string TakeComponent() {
    const std::size_t slash = rest_.find('/');
    std::string name = rest_.substr(0, slash);
    rest_.erase(0, slash == rest_.npos ? slash : slash + 1);
    return name;
  }

  // Into the directory `name`, or on to where a link of that name leads.
  Result<> Step(const std::string& name) {
    const std::string path = JoinPath(path_, name);
    // O_DIRECTORY has an automounter mount what belongs there.
    UniqueFd next(::openat(fd_.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next) return Enter(std::move(next), path);
    if (errno == ENOTDIR || errno == ELOOP) {
      next = UniqueFd(::openat(fd_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (next && TRY(Follow(next, path))) return {};
      if (next) errno = ENOTDIR;
    }
    return Failure(Error::FromErrno(Quoted(path)));
  }

  // The file `name`; no descriptor if it is a link, which the walk follows.
  Result<SafePath> StepToFile(const std::string& name, int flags) {
    std::string path = JoinPath(path_, name);
    const auto failed = [&] { return Failure(Error::FromErrno(Quoted(path))); };
    UniqueFd file(::openat(fd_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return failed();
    if (TRY(Follow(file, path))) return SafePath{};
    struct stat status;
    for (;;) {
      if (::fstat(file.get(), &status) < 0) return failed();
      if (!S_ISREG(status.st_mode)) {
        return Failure(Error(ErrorKind::kUnsupported,
                             fmt::format("{}: not a regular file", Quoted(path)), EPERM));
      }
      TRY(CheckOwner(status, fd_.get(), name.c_str(), path, "change it"));
      if (WritableByOthers(status)) return Failure(OthersMayWrite(path));
      if ((::fcntl(file.get(), F_GETFL) & O_PATH) == (flags & O_PATH)) break;
      file =
          UniqueFd(::openat(fd_.get(), name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      if (!file) return failed();
    }
    return SafePath{.path = std::move(path), .fd = std::move(file)};
  }

  // Whether `fd` is a symbolic link: then its target comes next.
  Result<bool> Follow(const UniqueFd& fd, const std::string& path) {
    struct stat status;
    if (::fstat(fd.get(), &status) < 0) return Failure(Error::FromErrno(Quoted(path)));
    if (!S_ISLNK(status.st_mode)) return false;
    // Elsewhere nobody but who may write to the directory can have made it.
    if (shared_) TRY(CheckOwner(status, fd_.get(), "", path, "point it elsewhere"));
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(fd.get(), "", target, sizeof target);
    if (++links_ > kMostLinks || size == sizeof target) errno = ELOOP;
    if (size < 0 || links_ > kMostLinks || size == sizeof target)
      return Failure(Error::FromErrno(Quoted(path)));
    std::string next(target, static_cast<std::size_t>(size));
    if (next.starts_with('/'))
      TRY(Enter(UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), "/"));
    if (!rest_.empty()) next.append("/").append(rest_);
    rest_ = std::move(next);
    return true;
  }

  Result<> Enter(UniqueFd fd, std::string path) {
    struct stat status;
    if (!fd || ::fstat(fd.get(), &status) < 0) return Failure(Error::FromErrno(Quoted(path)));
    TRY(CheckOwner(status, fd.get(), ".", path, "replace what is in it"));
    shared_ = WritableByOthers(status);
    if (shared_ && (status.st_mode & S_ISVTX) == 0) return Failure(OthersMayWrite(path));
    fd_ = std::move(fd);
    path_ = std::move(path);
    return {};
  }

  // The file is `name` in the directory `at`; "" for what cannot be opened.
  Result<> CheckOwner(const struct stat& status, int at, const char* name, const std::string& path,
                      std::string_view what_he_could_do) {
    if (status.st_uid == 0) return {};
    const bool like_us = status.st_uid == ::geteuid();
    const bool self = owners_ == TrustedOwners::kRootAndSelf && like_us;
    if (self && status.st_uid != kDefaultOverflowUser) return {};
    const UserNames names = UserNames::Read();
    bool unmapped = status.st_uid == names.overflow && !names.all_are_mapped;
    if (self && !unmapped) return {};
    if (unmapped && like_us) {
      // Only the owner may open a file without changing the time of the last access.
      const UniqueFd own(
          ::openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC));
      if (own && self) return {};
      unmapped = !own && errno == EPERM;
    } else if (unmapped) {
      unmapped = !names.overflow_is_mapped;
    }
    if (unmapped && IsSystemPath(path)) return {};
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("{}: belongs to user {}, who could {}", Quoted(path),
                                     status.st_uid, what_he_could_do),
                         EPERM));
  }

  static Error OthersMayWrite(const std::string& path) {
    return Error(ErrorKind::kUnsupported, fmt::format("{}: others may write to it", Quoted(path)),
                 EPERM)
        .Remedy("run chmod go-w on it, or use another place");
  }

  const TrustedOwners owners_;
  std::string rest_;  // of the path, behind fd_
  UniqueFd fd_;       // where the walk is
  std::string path_;
  bool shared_ = false;  // others may make files in fd_, and remove theirs only
  int links_ = 0;
};

}  // namespace

Result<SafePath> OpenSafeDirectory(const std::string& path, TrustedOwners owners) {
  return Walk(owners).To(path, nullptr);
}

Result<SafePath> OpenSafeFile(const std::string& path, int flags, TrustedOwners owners) {
  return Walk(owners).To(path, &flags);
}

}  // namespace haft
