#include "haft/image/extract.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "haft/base/clear_umask.h"
#include "haft/base/file_io.h"
#include "haft/base/interruption.h"
#include "haft/base/parallel.h"
#include "haft/base/temporary_directory.h"

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

// The copy under its temporary name; gone with this object unless committed.
class TemporaryTree {
 public:
  static Result<TemporaryTree> Create(const std::string& target) {
    std::string path = target;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    auto slash = path.rfind('/');
    std::string parent = slash == path.npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
    TRY(OpenFile(parent, O_RDONLY | O_DIRECTORY));
    TRY(CheckTarget(path));
    TemporaryDirectory directory = TRY(TemporaryDirectory::Create(parent, kTemporaryPrefix));
    return TemporaryTree(std::move(directory), std::move(path));
  }

  int fd() const { return directory_.fd(); }

  Result<> Commit() {
    // rename(2) replaces an empty directory and nothing else.
    if (::renameat(directory_.parent(), directory_.name().c_str(), AT_FDCWD, target_.c_str()) < 0) {
      return Failure(Unusable(SystemError("extract into", target_)));
    }
    directory_.Keep();
    return {};
  }

 private:
  TemporaryTree(TemporaryDirectory directory, std::string target)
      : directory_(std::move(directory)), target_(std::move(target)) {}

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

  TemporaryDirectory directory_;
  std::string target_;
};

timespec Time(const Attributes& attributes) {
  return {.tv_sec = attributes.mtime, .tv_nsec = attributes.mtime_nanoseconds};
}

// Copies in three passes: directories and symlinks in one thread; contents in several, in the order
// of the blocks, so that each block is decoded about once; then modes and times, because writing
// changes the times and a read-only directory takes no files. Paths are relative to the new root,
// which nobody else writes to.
class Extractor {
 public:
  Extractor(const ImageReader& reader, int root, unsigned workers,
            const std::function<void(std::uint64_t)>& progress)
      : reader_(reader), root_(root), workers_(workers), progress_(progress) {}

  Result<> Run();

 private:
  struct File {
    std::string path;
    InodeId inode;
    Attributes attributes;
  };
  // A part of a file that one thread copies.
  struct Part {
    std::size_t file;
    std::uint64_t offset;
    std::uint64_t length;
    std::uint64_t place;  // where its first bytes are stored, for the order
  };

  Result<> MakeDirectories(InodeId directory, const std::string& path, unsigned depth);
  Result<> MakeSymlink(const Entry& entry, const std::string& path);
  void AddParts(std::size_t file);
  Result<> CopyPart(const Part& part);
  Result<> CopyContents(int fd, const Part& part);
  Result<> Finish(const File& file);

  static constexpr unsigned kMaxDepth = 2048;  // more cannot be reached by a path anyway
  static constexpr std::uint64_t kPartSize = 4u << 20;

  const ImageReader& reader_;
  int root_;
  unsigned workers_;
  const std::function<void(std::uint64_t)>& progress_;
  std::vector<File> directories_;  // parents first
  std::vector<File> files_;
  std::vector<Part> parts_;
  std::mutex progress_mutex_;
  std::uint64_t done_ = 0;  // guarded by progress_mutex_
};

Result<> Extractor::Finish(const File& file) {
  timespec times[2] = {Time(file.attributes), Time(file.attributes)};
  const char* path = file.path.empty() ? "." : file.path.c_str();
  if (::fchmodat(root_, path, file.attributes.mode, 0) < 0)
    return Failure(SystemError("chmod", file.path));
  if (::utimensat(root_, path, times, AT_SYMLINK_NOFOLLOW) < 0) {
    return Failure(SystemError("set the time of", file.path));
  }
  return {};
}

Result<> Extractor::CopyContents(int fd, const Part& part) {
  const File& file = files_[part.file];
  std::vector<Slice> slices;
  std::uint64_t end = part.offset + part.length, copied = 0;
  for (std::uint64_t offset = part.offset; offset < end;) {
    auto data = reader_.Seek(file.inode, offset, /*hole=*/false);
    if (!data && data.error().sys_errno() == ENXIO) break;  // only a hole is left
    offset = TRY(std::move(data));
    if (offset >= end) break;
    std::uint64_t length =
        std::min<std::uint64_t>(reader_.bundle().trailer.block_size, end - offset);
    TRY(reader_.Read(file.inode, offset, length, slices));
    for (const Slice& slice : slices) {
      TRY(WriteAllAt(fd, slice.bytes, offset));
      offset += slice.bytes.size();
      copied += slice.bytes.size();
    }
  }
  if (progress_) {
    std::scoped_lock lock(progress_mutex_);
    progress_(done_ += copied);
  }
  return {};
}

Result<> Extractor::CopyPart(const Part& part) {
  TRY(Interruption::Check());
  const File& file = files_[part.file];
  bool whole = part.length == file.attributes.size;
  // Parts of one file come in any order: whoever is first makes it.
  UniqueFd fd(::openat(root_, file.path.c_str(),
                       O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (whole ? O_EXCL : 0), 0600));
  if (!fd) return Failure(SystemError("create", file.path));
  if (part.length > 0 && ::ftruncate(fd.get(), static_cast<off_t>(file.attributes.size)) < 0) {
    return Failure(SystemError("write", file.path));
  }
  if (auto done = CopyContents(fd.get(), part); !done)
    return Failure(std::move(done).error().Within(Quoted(file.path)));
  return {};
}

void Extractor::AddParts(std::size_t number) {
  const File& file = files_[number];
  std::uint64_t place = reader_.Place(file.inode);
  std::uint64_t offset = 0;
  do {
    std::uint64_t length = std::min(kPartSize, file.attributes.size - offset);
    parts_.push_back({.file = number, .offset = offset, .length = length, .place = place});
    offset += length;
  } while (offset < file.attributes.size);
}

Result<> Extractor::MakeSymlink(const Entry& entry, const std::string& path) {
  std::string target(TRY(reader_.ReadLink(entry.inode)));
  timespec times[2] = {Time(entry.attributes), Time(entry.attributes)};
  if (::symlinkat(target.c_str(), root_, path.c_str()) < 0 ||
      ::utimensat(root_, path.c_str(), times, AT_SYMLINK_NOFOLLOW) < 0) {
    return Failure(SystemError("create", path));
  }
  return {};
}

Result<> Extractor::MakeDirectories(InodeId directory, const std::string& path, unsigned depth) {
  if (depth > kMaxDepth) return Failure(Error::Corrupt(fmt::format("{}: too deep", Quoted(path))));
  std::uint64_t count = TRY(reader_.EntryCount(directory));
  for (std::uint64_t i = 0; i < count; ++i) {
    auto found = reader_.EntryAt(directory, i);
    if (!found) return Failure(std::move(found).error().Within(Quoted("/" + path)));
    if (!*found) break;
    const Entry& entry = **found;
    std::string child =
        path.empty() ? std::string(entry.name) : path + "/" + std::string(entry.name);
    File file{.path = child, .inode = entry.inode, .attributes = entry.attributes};
    switch (entry.attributes.type) {
      case FileType::kFile:
        files_.push_back(std::move(file));
        AddParts(files_.size() - 1);
        break;
      case FileType::kSymlink:
        TRY(MakeSymlink(entry, child));
        break;
      case FileType::kDirectory:
        if (::mkdirat(root_, child.c_str(), 0700) < 0) return Failure(SystemError("create", child));
        directories_.push_back(std::move(file));
        TRY(MakeDirectories(entry.inode, child, depth + 1));
        break;
    }
  }
  return {};
}

Result<> Extractor::Run() {
  directories_.push_back(
      {.path = "", .inode = InodeId::kRoot, .attributes = TRY(reader_.Stat(InodeId::kRoot))});
  TRY(MakeDirectories(InodeId::kRoot, "", 0));
  std::ranges::stable_sort(parts_, {}, &Part::place);
  TRY(ParallelFor(parts_.size(), workers_, [this](std::size_t i) { return CopyPart(parts_[i]); }));
  TRY(ParallelFor(files_.size(), workers_, [this](std::size_t i) { return Finish(files_[i]); }));
  for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory)
    TRY(Finish(*directory));
  return {};
}

}  // namespace

Result<> ExtractInto(const ImageReader& reader, int directory, unsigned workers,
                     const std::function<void(std::uint64_t)>& progress) {
  ClearUmask umask;
  return Extractor(reader, directory, WorkerCount(workers), progress).Run();
}

Result<> ExtractImage(const ImageReader& reader, const std::string& directory,
                      const std::function<void(std::uint64_t)>& progress) {
  TemporaryTree tree = TRY(TemporaryTree::Create(directory));
  TRY(ExtractInto(reader, tree.fd(), 0, progress));
  return tree.Commit();
}

namespace {

bool IsExtractedEntry(const ImageReader& reader, int directory, const Entry& entry) {
  struct stat status;
  std::string name(entry.name);
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return false;
  const Attributes& attributes = entry.attributes;
  switch (attributes.type) {
    case FileType::kFile:
      return S_ISREG(status.st_mode) &&
             static_cast<std::uint64_t>(status.st_size) == attributes.size &&
             status.st_mtim.tv_sec == attributes.mtime;
    case FileType::kSymlink: {
      auto expected = reader.ReadLink(entry.inode);
      std::string target(format::kMaxTargetSize + 1, '\0');
      ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
      return expected && size >= 0 &&
             std::string_view(target).substr(0, static_cast<std::size_t>(size)) == *expected;
    }
    case FileType::kDirectory:
      return S_ISDIR(status.st_mode);
  }
  return false;
}

bool IsExtractedDirectory(const ImageReader& reader, InodeId inode, int directory) {
  auto count = reader.EntryCount(inode);
  for (std::uint64_t i = 0; count && i < *count; ++i) {
    auto entry = reader.EntryAt(inode, i);
    if (!entry || !*entry || !IsExtractedEntry(reader, directory, **entry)) return false;
    if ((*entry)->attributes.type != FileType::kDirectory) continue;
    auto child = OpenDirectoryAt(directory, std::string((*entry)->name));
    if (!child || !IsExtractedDirectory(reader, (*entry)->inode, child->get())) return false;
  }
  return count.has_value();
}

}  // namespace

bool IsExtractOf(const ImageReader& reader, int directory) {
  return IsExtractedDirectory(reader, InodeId::kRoot, directory);
}

}  // namespace haft
