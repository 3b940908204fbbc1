#include "haft/tree/input_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "haft/base/beneath.h"
#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
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
       const std::function<void(std::uint64_t)>& progress, const InputOptions& options)
      : root_(std::move(root)),
        where_(where),
        tree_(tree),
        progress_(progress),
        options_(options) {}

  Result<std::uint64_t> Run() {
    struct stat status;
    if (::fstat(root_->fd.get(), &status) < 0)
      return Failure(Error::FromErrno(Quoted(root_->path)));
    TRY(tree_.AddDirectory(where_, Attributes(status), root_->path));
    pending_.push_back({.path = "", .device = status.st_dev, .inode = status.st_ino});
    while (!pending_.empty()) {
      Directory directory = std::move(pending_.back());
      pending_.pop_back();
      TRY(ScanDirectory(directory));
    }
    return files_;
  }

 private:
  struct Directory {
    std::string path;  // below the root
    dev_t device;
    ino_t inode;
  };

  Error Failed(std::string_view relative, int sys_errno = errno) const {
    return Error::FromErrno(Quoted(JoinPath(root_->path, relative)), sys_errno);
  }

  NodeAttributes Attributes(const struct stat& status) const {
    NodeAttributes attributes = AttributesOf(status);
    if (options_.fixed_times) {
      attributes.mtime = kGeneratedTime;
      attributes.mtime_nanoseconds = 0;
    }
    return attributes;
  }

  // Sorted, so that of several errors always the same one is reported.
  Result<std::vector<std::string>> ListDirectory(int fd, const std::string& relative) const {
    DirectoryStream stream(fd);
    if (!stream) return Failure(Failed(relative));
    std::vector<std::string> names;
    while (const dirent* entry = stream.Next()) names.emplace_back(entry->d_name);
    if (errno != 0) return Failure(Failed(relative));
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<> ScanDirectory(const Directory& directory) {
    UniqueFd fd = OpenBeneath(root_->fd.get(), directory.path, O_RDONLY | O_DIRECTORY);
    struct stat status;
    if (!fd || ::fstat(fd.get(), &status) < 0) return Failure(Failed(directory.path));
    if (status.st_dev != directory.device || status.st_ino != directory.inode) {
      return Failure(Error::Invalid(fmt::format("{}: replaced while it was being packed",
                                                Quoted(JoinPath(root_->path, directory.path))))
                         .Remedy("build again when nothing writes to it"));
    }
    for (const std::string& name : TRY(ListDirectory(fd.get(), directory.path))) {
      if (std::ranges::find(options_.skipped, name) == options_.skipped.end())
        TRY(Add(fd.get(), name, JoinPath(directory.path, name)));
    }
    return {};
  }

  // The entry `name` of an open directory, which is `relative` below the root.
  Result<> Add(int directory, const std::string& name, std::string relative) {
    struct stat status;
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
      return Failure(Failed(relative));
    const std::string path = JoinPath(where_, relative);
    const std::string origin = JoinPath(root_->path, relative);
    if (S_ISDIR(status.st_mode)) {
      TRY(tree_.AddDirectory(path, Attributes(status), origin));
      pending_.push_back(
          {.path = std::move(relative), .device = status.st_dev, .inode = status.st_ino});
    } else if (S_ISREG(status.st_mode)) {
      TRY(tree_.AddFile(path, Attributes(status), static_cast<std::uint64_t>(status.st_size),
                        FileSource::OnDisk(root_, std::move(relative), FileIdentity(status))));
      ++files_;
      if (progress_) progress_(files_);
    } else if (S_ISLNK(status.st_mode)) {
      TRY(tree_.AddSymlink(path, Attributes(status), TRY(ReadLink(directory, name, relative)),
                           origin));
    } else {
      return Failure(
          Error::Invalid(fmt::format("{}: {}", Quoted(origin), SpecialKind(status.st_mode)))
              .Remedy("only files, directories and symbolic links can be packed"));
    }
    return {};
  }

  Result<std::string> ReadLink(int directory, const std::string& name,
                               const std::string& relative) const {
    std::string target(format::kMaxTargetSize + 1, '\0');
    ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (size < 0) return Failure(Failed(relative));
    target.resize(static_cast<std::size_t>(size));
    return target;
  }

  const std::shared_ptr<const InputRoot> root_;
  const std::string_view where_;
  Tree& tree_;
  const std::function<void(std::uint64_t)>& progress_;
  const InputOptions& options_;
  std::vector<Directory> pending_;
  std::uint64_t files_ = 0;
};

}  // namespace

Result<std::uint64_t> AddInputDirectory(const std::string& path, std::string_view where, Tree& tree,
                                        const std::function<void(std::uint64_t)>& progress,
                                        const InputOptions& options) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Failure(Error::FromErrno("site-packages " + Quoted(path)));
  std::string shown = path;
  while (shown.size() > 1 && shown.ends_with('/')) shown.pop_back();
  auto root = std::make_shared<const InputRoot>(InputRoot{std::move(fd), std::move(shown)});
  return Scan(std::move(root), where, tree, progress, options).Run();
}

Result<> AddInputProgram(const std::string& name, std::string_view where, Tree& tree) {
  std::error_code error;
  const std::string path = std::filesystem::canonical(name, error).string();
  if (error) return Failure(Error::FromErrno(Quoted(name), error.value()));
  std::string directory(DirName(path));
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::string file(BaseName(path));
  struct stat status;
  if (!fd || ::fstatat(fd.get(), file.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
    return Failure(Error::FromErrno(Quoted(path)));
  if (!S_ISREG(status.st_mode))
    return Failure(Error::Invalid(fmt::format("{}: is no regular file", Quoted(path))));
  NodeAttributes attributes = AttributesOf(status);
  attributes.mode |= (attributes.mode & 0444) >> 2;
  auto root = std::make_shared<const InputRoot>(InputRoot{std::move(fd), std::move(directory)});
  return tree.AddFile(where, attributes, static_cast<std::uint64_t>(status.st_size),
                      FileSource::OnDisk(std::move(root), file, FileIdentity(status)));
}

}  // namespace haft
