#include "haft/image/extract.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "haft/base/file_io.h"

namespace haft {
namespace {

Error SystemError(std::string_view call, std::string_view path) {
  return Error::FromErrno(fmt::format("{} {}", call, Quoted(path)));
}

Result<UniqueFd> OpenDirectoryAt(int parent, const std::string& name) {
  UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return Failure(SystemError("open", name));
  return fd;
}

constexpr std::string_view kTemporaryPrefix = ".haft-extract-";

void MakeAccessible(int parent, const std::string& name) {
  struct stat status;
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
    ::fchmodat(parent, name.c_str(), 0700, 0);
  }
}

// Removes directory `name` below `parent` with everything in it, however deep, with two descriptors: what is found in a
// directory below it is moved up first. Follows no symlinks and leaves no file system.
void RemoveTree(int parent, const std::string& name) {
  MakeAccessible(parent, name);
  auto top = OpenDirectoryAt(parent, name);
  if (!top) return;
  unsigned long moved = 0;
  // Calls `visit` for each name in a directory; whether there was any.
  auto for_each = [](int fd, auto visit) {
    bool any = false;
    DIR* dir = ::fdopendir(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (dir == nullptr) return false;
    ::rewinddir(dir);
    while (const dirent* entry = ::readdir(dir)) {
      std::string child = entry->d_name;
      if (child == "." || child == "..") continue;
      any = true;
      visit(child);
    }
    ::closedir(dir);
    return any;
  };
  bool progress = true;
  auto remove_child = [&](const std::string& child) {
    if (::unlinkat(top->get(), child.c_str(), 0) == 0) {
      progress = true;
      return;
    }
    MakeAccessible(top->get(), child);
    auto below = OpenDirectoryAt(top->get(), child);
    if (!below) return;
    for_each(below->get(), [&](const std::string& grandchild) {
      if (::unlinkat(below->get(), grandchild.c_str(), 0) == 0) return;
      MakeAccessible(below->get(), grandchild);  // what moves must be writable itself
      std::string place = fmt::format("{}{}", kTemporaryPrefix, moved++);
      if (::syscall(SYS_renameat2, below->get(), grandchild.c_str(), top->get(), place.c_str(), RENAME_NOREPLACE) == 0) {
        progress = true;
      }
    });
    if (::unlinkat(top->get(), child.c_str(), AT_REMOVEDIR) == 0) progress = true;
  };
  while (progress) {
    progress = false;
    if (!for_each(top->get(), remove_child)) break;
  }
  ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
}

// The copy under its temporary name; gone with this object unless committed. Locked, so that a later extraction can
// tell what a killed one has left behind.
class TemporaryTree {
 public:
  static Result<TemporaryTree> Create(const std::string& target) {
    std::string path = target;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    auto slash = path.rfind('/');
    std::string parent = slash == path.npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
    UniqueFd parent_fd = TRY(OpenFile(parent, O_RDONLY | O_DIRECTORY));
    TRY(CheckTarget(path));
    RemoveAbandoned(parent_fd.get());
    for (;;) {
      std::string name = fmt::format("{}/{}XXXXXX", parent, kTemporaryPrefix);
      if (::mkdtemp(name.data()) == nullptr) return Failure(SystemError("create a directory in", parent));
      name.erase(0, parent.size() + 1);
      auto fd = OpenDirectoryAt(parent_fd.get(), name);
      // Somebody who cleans up may have been faster than the lock.
      if (fd && Lock(fd->get()) && OpenDirectoryAt(parent_fd.get(), name)) {
        return TemporaryTree(std::move(parent_fd), *std::move(fd), std::move(name), std::move(path));
      }
    }
  }

  TemporaryTree(TemporaryTree&& other) noexcept
      : parent_(std::move(other.parent_)), fd_(std::move(other.fd_)), name_(std::move(other.name_)),
        target_(std::move(other.target_)) {
    other.name_.clear();
  }
  TemporaryTree& operator=(TemporaryTree&&) = delete;
  ~TemporaryTree() {
    if (!name_.empty()) RemoveTree(parent_.get(), name_);
  }

  int fd() const { return fd_.get(); }

  Result<> Commit() {
    // rename(2) replaces an empty directory and nothing else.
    if (::renameat(parent_.get(), name_.c_str(), AT_FDCWD, target_.c_str()) < 0) {
      return Failure(Unusable(SystemError("extract into", target_)));
    }
    name_.clear();
    return {};
  }

 private:
  TemporaryTree(UniqueFd parent, UniqueFd fd, std::string name, std::string target)
      : parent_(std::move(parent)), fd_(std::move(fd)), name_(std::move(name)), target_(std::move(target)) {}

  static bool Lock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0; }

  static Error Unusable(Error error) {
    return std::move(error).Remedy("the directory must not exist or be empty");
  }

  // What rename(2) would refuse after all the work.
  static Result<> CheckTarget(const std::string& target) {
    struct stat status;
    if (::lstat(target.c_str(), &status) < 0) return {};
    errno = ENOTDIR;
    DIR* dir = S_ISDIR(status.st_mode) ? ::opendir(target.c_str()) : nullptr;
    if (dir == nullptr) return Failure(Unusable(SystemError("extract into", target)));
    int names = 0;
    while (::readdir(dir) != nullptr) ++names;
    ::closedir(dir);
    if (names <= 2) return {};
    errno = ENOTEMPTY;
    return Failure(Unusable(SystemError("extract into", target)));
  }

  // Copies whose process was killed.
  static void RemoveAbandoned(int parent) {
    DIR* dir = ::fdopendir(::openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir == nullptr) return;
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(dir)) {
      std::string_view name = entry->d_name;
      if (name.starts_with(kTemporaryPrefix) && name.size() == kTemporaryPrefix.size() + 6) names.emplace_back(name);
    }
    ::closedir(dir);
    for (const std::string& name : names) {
      struct stat status;
      auto fd = OpenDirectoryAt(parent, name);
      if (fd && ::fstat(fd->get(), &status) == 0 && status.st_uid == ::geteuid() && Lock(fd->get())) {
        RemoveTree(parent, name);
      }
    }
  }

  UniqueFd parent_;
  UniqueFd fd_;  // of the copy
  std::string name_;
  std::string target_;
};

timespec Time(const Attributes& attributes) {
  return {.tv_sec = attributes.mtime, .tv_nsec = attributes.mtime_nanoseconds};
}

class Extractor {
 public:
  Extractor(const ImageReader& reader, const std::function<void(std::uint64_t)>& progress)
      : reader_(reader), progress_(progress) {}

  Result<> CopyDirectory(int directory, InodeId inode, const std::string& path, unsigned depth);
  static Result<> Finish(int fd, const Attributes& attributes, const std::string& path);

 private:
  Result<> CopyFile(int directory, const Entry& entry, const std::string& path);
  Result<> CopyContents(int fd, const Entry& entry);

  static constexpr unsigned kMaxDepth = 2048;  // more cannot be reached by a path anyway

  const ImageReader& reader_;
  const std::function<void(std::uint64_t)>& progress_;
  std::uint64_t done_ = 0;
};

// Last, because writing changes the times and a read-only directory takes no files.
Result<> Extractor::Finish(int fd, const Attributes& attributes, const std::string& path) {
  timespec times[2] = {Time(attributes), Time(attributes)};
  if (::fchmod(fd, attributes.mode) < 0) return Failure(SystemError("chmod", path));
  if (::futimens(fd, times) < 0) return Failure(SystemError("set the time of", path));
  return {};
}

Result<> Extractor::CopyContents(int fd, const Entry& entry) {
  std::uint64_t size = entry.attributes.size;
  if (::ftruncate(fd, static_cast<off_t>(size)) < 0) return Failure(Error::FromErrno("write"));
  std::vector<Slice> slices;
  for (std::uint64_t offset = 0; offset < size;) {
    auto data = reader_.Seek(entry.inode, offset, /*hole=*/false);
    if (!data && data.error().sys_errno() == ENXIO) break;  // only a hole is left
    offset = TRY(std::move(data));
    TRY(reader_.Read(entry.inode, offset, reader_.bundle().trailer.block_size, slices));
    for (const Slice& slice : slices) {
      TRY(WriteAllAt(fd, slice.bytes, offset));
      offset += slice.bytes.size();
      done_ += slice.bytes.size();
    }
    if (progress_) progress_(done_);
  }
  return {};
}

Result<> Extractor::CopyFile(int directory, const Entry& entry, const std::string& path) {
  UniqueFd fd(::openat(directory, std::string(entry.name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       0600));
  if (!fd) return Failure(SystemError("create", path));
  if (auto done = CopyContents(fd.get(), entry); !done) return Failure(std::move(done).error().Within(Quoted(path)));
  return Finish(fd.get(), entry.attributes, path);
}

Result<> Extractor::CopyDirectory(int directory, InodeId inode, const std::string& path, unsigned depth) {
  if (depth > kMaxDepth) return Failure(Error::Corrupt(fmt::format("{}: too deep", Quoted(path))));
  std::uint64_t count = TRY(reader_.EntryCount(inode));
  for (std::uint64_t i = 0; i < count; ++i) {
    auto found = reader_.EntryAt(inode, i);
    if (!found) return Failure(std::move(found).error().Within(Quoted(path)));
    if (!*found) break;
    const Entry& entry = **found;
    std::string name(entry.name), child = path + "/" + name;
    switch (entry.attributes.type) {
      case FileType::kFile: TRY(CopyFile(directory, entry, child)); break;
      case FileType::kSymlink: {
        std::string target(TRY(reader_.ReadLink(entry.inode)));
        timespec times[2] = {Time(entry.attributes), Time(entry.attributes)};
        if (::symlinkat(target.c_str(), directory, name.c_str()) < 0 ||
            ::utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW) < 0) {
          return Failure(SystemError("create", child));
        }
        break;
      }
      case FileType::kDirectory: {
        if (::mkdirat(directory, name.c_str(), 0700) < 0) return Failure(SystemError("create", child));
        UniqueFd fd = TRY(OpenDirectoryAt(directory, name));
        TRY(CopyDirectory(fd.get(), entry.inode, child, depth + 1));
        TRY(Finish(fd.get(), entry.attributes, child));
        break;
      }
    }
  }
  return {};
}

}  // namespace

Result<> ExtractImage(const ImageReader& reader, const std::string& directory,
                      const std::function<void(std::uint64_t)>& progress) {
  TemporaryTree tree = TRY(TemporaryTree::Create(directory));
  Extractor extractor(reader, progress);
  TRY(extractor.CopyDirectory(tree.fd(), InodeId::kRoot, "", 0));
  TRY(Extractor::Finish(tree.fd(), TRY(reader.Stat(InodeId::kRoot)), directory));
  return tree.Commit();
}

}  // namespace haft
