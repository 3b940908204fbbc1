#include "haft/pack/input_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/format/layout.h"

namespace haft {
namespace {

std::string_view SpecialKind(unsigned mode) {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return "is a named pipe";
    case S_IFSOCK:
      return "is a socket";
    case S_IFBLK:
      return "is a block device";
    case S_IFCHR:
      return "is a character device";
    default:
      return "is of an unknown type";
  }
}

NodeAttributes AttributesOf(const struct stat& status) {
  return {.mode = static_cast<std::uint32_t>(status.st_mode) & format::kModeMask,
          .mtime = status.st_mtim.tv_sec,
          .mtime_nanoseconds = static_cast<std::uint32_t>(status.st_mtim.tv_nsec)};
}

// Walks without recursion and with one directory open at a time, so depth costs neither stack nor
// descriptors.
class Scan {
 public:
  Scan(std::shared_ptr<const InputRoot> root, std::string_view where, Tree& tree,
       const std::function<void(std::uint64_t)>& progress)
      : root_(std::move(root)), where_(where), tree_(tree), progress_(progress) {}

  Result<std::uint64_t> Run() {
    struct stat status;
    if (::fstat(root_->fd.get(), &status) < 0)
      return Failure(Error::FromErrno(Quoted(root_->path)));
    TRY(tree_.AddDirectory(where_, AttributesOf(status), root_->path));
    pending_.emplace_back();
    while (!pending_.empty()) {
      std::string directory = std::move(pending_.back());
      pending_.pop_back();
      TRY(ScanDirectory(directory));
    }
    return files_;
  }

 private:
  Error Failed(std::string_view relative, int sys_errno = errno) const {
    return Error::FromErrno(Quoted(JoinPath(root_->path, relative)), sys_errno);
  }

  // Sorted, so that of several errors always the same one is reported.
  Result<std::vector<std::string>> ListDirectory(const std::string& relative) const {
    UniqueFd fd(::openat(root_->fd.get(), relative.empty() ? "." : relative.c_str(),
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return Failure(Failed(relative));
    std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), ::closedir);
    if (stream == nullptr) return Failure(Failed(relative));
    static_cast<void>(fd.Release());  // the stream owns it now
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr) break;
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return Failure(Failed(relative));
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<> ScanDirectory(const std::string& relative) {
    for (const std::string& name : TRY(ListDirectory(relative))) TRY(Add(JoinPath(relative, name)));
    return {};
  }

  Result<> Add(std::string relative) {
    struct stat status;
    if (::fstatat(root_->fd.get(), relative.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
      return Failure(Failed(relative));
    }
    const std::string path = JoinPath(where_, relative);
    const std::string origin = JoinPath(root_->path, relative);
    if (S_ISDIR(status.st_mode)) {
      TRY(tree_.AddDirectory(path, AttributesOf(status), origin));
      pending_.push_back(std::move(relative));
    } else if (S_ISREG(status.st_mode)) {
      TRY(tree_.AddFile(path, AttributesOf(status), static_cast<std::uint64_t>(status.st_size),
                        FileSource::OnDisk(root_, std::move(relative))));
      ++files_;
      if (progress_) progress_(files_);
    } else if (S_ISLNK(status.st_mode)) {
      TRY(tree_.AddSymlink(path, AttributesOf(status), TRY(ReadLink(relative)), origin));
    } else {
      return Failure(
          Error::Invalid(fmt::format("{}: {}", Quoted(origin), SpecialKind(status.st_mode)))
              .Remedy("only files, directories and symbolic links can be packed"));
    }
    return {};
  }

  Result<std::string> ReadLink(const std::string& relative) const {
    std::string target(format::kMaxTargetSize + 1, '\0');
    ssize_t size = ::readlinkat(root_->fd.get(), relative.c_str(), target.data(), target.size());
    if (size < 0) return Failure(Failed(relative));
    target.resize(static_cast<std::size_t>(size));
    return target;
  }

  const std::shared_ptr<const InputRoot> root_;
  const std::string_view where_;
  Tree& tree_;
  const std::function<void(std::uint64_t)>& progress_;
  std::vector<std::string> pending_;  // directories below the root
  std::uint64_t files_ = 0;
};

}  // namespace

Result<std::uint64_t> AddInputDirectory(const std::string& path, std::string_view where, Tree& tree,
                                        const std::function<void(std::uint64_t)>& progress) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Failure(Error::FromErrno("site-packages " + Quoted(path)));
  std::string shown = path;
  while (shown.size() > 1 && shown.ends_with('/')) shown.pop_back();
  auto root = std::make_shared<const InputRoot>(InputRoot{std::move(fd), std::move(shown)});
  return Scan(std::move(root), where, tree, progress).Run();
}

}  // namespace haft
