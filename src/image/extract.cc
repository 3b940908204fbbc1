#include "haft/image/extract.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
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

// Removes `name` below `parent` with everything in it. Follows no symlinks and leaves no file system.
void RemoveTree(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || (errno != EISDIR && errno != EPERM)) return;
  auto fd = OpenDirectoryAt(parent, name);
  if (!fd) return;
  ::fchmod(fd->get(), 0700);
  int self = fd->get();
  if (DIR* dir = ::fdopendir(::dup(self)); dir != nullptr) {
    while (const dirent* entry = ::readdir(dir)) {
      std::string child = entry->d_name;
      if (child != "." && child != "..") RemoveTree(self, child);
    }
    ::closedir(dir);
  }
  ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
}

// The copy under its temporary name; gone with this object unless committed.
class TemporaryTree {
 public:
  static Result<TemporaryTree> Create(const std::string& target) {
    std::string path = target;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    auto slash = path.rfind('/');
    std::string parent = slash == path.npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
    UniqueFd parent_fd = TRY(OpenFile(parent, O_RDONLY | O_DIRECTORY));
    std::string name = parent + "/.haft-extract-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return Failure(SystemError("create a directory in", parent));
    return TemporaryTree(std::move(parent_fd), name.substr(parent.size() + 1), std::move(path));
  }

  TemporaryTree(TemporaryTree&& other) noexcept
      : parent_(std::move(other.parent_)), name_(std::move(other.name_)), target_(std::move(other.target_)) {
    other.name_.clear();
  }
  TemporaryTree& operator=(TemporaryTree&&) = delete;
  ~TemporaryTree() {
    if (!name_.empty()) RemoveTree(parent_.get(), name_);
  }

  Result<UniqueFd> Open() const { return OpenDirectoryAt(parent_.get(), name_); }

  Result<> Commit() {
    // rename(2) replaces an empty directory and nothing else.
    if (::renameat(parent_.get(), name_.c_str(), AT_FDCWD, target_.c_str()) < 0) {
      Error error = SystemError("extract into", target_);
      return Failure(std::move(error).Remedy("the directory must not exist or be empty"));
    }
    name_.clear();
    return {};
  }

 private:
  TemporaryTree(UniqueFd parent, std::string name, std::string target)
      : parent_(std::move(parent)), name_(std::move(name)), target_(std::move(target)) {}
  UniqueFd parent_;
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
  UniqueFd root = TRY(tree.Open());
  Extractor extractor(reader, progress);
  TRY(extractor.CopyDirectory(root.get(), InodeId::kRoot, "", 0));
  TRY(Extractor::Finish(root.get(), TRY(reader.Stat(InodeId::kRoot)), directory));
  return tree.Commit();
}

}  // namespace haft
