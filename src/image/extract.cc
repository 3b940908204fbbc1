#include "haft/image/extract.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <vector>

#include "extract_target.h"
#include "haft/base/beneath.h"
#include "haft/base/clear_umask.h"
#include "haft/base/file_io.h"
#include "haft/base/interruption.h"
#include "haft/base/mutex.h"
#include "haft/base/parallel.h"
#include "haft/image/walk_image.h"

namespace haft {
namespace {

Error SystemError(std::string_view call, std::string_view path) {
  return Error::FromErrno(fmt::format("{} {}", call, Quoted(path)));
}

// Looks at the whole tree first; then makes directories and symlinks in one thread; then contents
// in several, in the order of the blocks, so that each block is decoded about once; then modes and
// times of directories, because a read-only one takes no files. Everything is found below the
// descriptor of the new root, without following a link, and made by this object or not at all.
class Extractor {
 public:
  Extractor(const ImageReader& reader, int root, unsigned workers,
            const std::function<void(std::uint64_t)>& progress)
      : reader_(reader), root_(root), workers_(workers), progress_(progress) {}

  Result<> Run();

 private:
  // By name and directory, not by path: a tree of long paths would need far more memory than the
  // image has bytes.
  struct Node {
    std::size_t directory;  // number of the one it lies in
    std::string_view name;
    InodeId inode;
  };
  struct File : Node {
    File(Node node, std::uint64_t bytes) : Node(node), size(bytes) {}
    std::uint64_t size;
    unsigned parts = 0;
    std::atomic<unsigned> parts_left = 0;
  };
  // Of a file, copied by one thread.
  struct Part {
    std::size_t file;
    std::uint64_t offset;
    std::uint64_t length;
    std::uint64_t place;  // where its first bytes are stored, for the order
  };

  Result<> Collect();
  Result<> Add(const DirectoryEntry& entry);
  Result<> CheckRoom();
  Result<> CheckFileSize() const;
  std::uint64_t DataOf(const File& file, unsigned& looks) const;
  Result<> MakeNodes();
  Result<> MakeSymlink(const Node& node, ParentBeneath& parents);
  Result<> AddParts(std::size_t file);
  Result<> CopyPart(const Part& part);
  Result<> CheckDecoded() const;
  Result<> CopyContents(int fd, const Part& part);
  Result<> Finish(int fd, const Node& node);
  std::string PathOf(const Node& node) const;

  static constexpr std::uint64_t kPartSize = 4u << 20;
  static constexpr std::uint64_t kMaxParts = 1024;       // of one file
  static constexpr std::uint64_t kMoreParts = 1u << 16;  // of all files, beside the first of each
  // Searches for holes in files that have many, of all of which the room is counted.
  static constexpr unsigned kHoleLooks = 4096;

  const ImageReader& reader_;
  const int root_;
  const unsigned workers_;
  const std::function<void(std::uint64_t)>& progress_;
  std::vector<Node> directories_;  // parents first; the first is the root
  std::vector<Node> symlinks_;
  std::deque<File> files_;
  std::vector<std::size_t> open_;  // directories on the way to what is collected
  std::uint64_t needed_ = 0;       // bytes on the disk
  std::uint64_t content_ = 0;      // sum of the sizes, which may wrap around
  std::uint64_t part_size_ = kPartSize;
  std::vector<Part> parts_;
  Mutex progress_mutex_;
  std::uint64_t done_ HAFT_GUARDED_BY(progress_mutex_) = 0;
};

constexpr std::uint64_t kDiskBlock = 4096;
// Bytes decoded to read all files: so many times what blocks and files hold, and more for small
// images.
constexpr std::uint64_t kMaxDecodedFactor = 4;
constexpr std::uint64_t kMaxDecodedAnyway = 256u << 20;

std::uint64_t OnDisk(std::uint64_t bytes) {
  return (bytes / kDiskBlock + (bytes % kDiskBlock != 0 ? 1 : 0)) * kDiskBlock;
}

timespec Time(const Attributes& attributes) {
  return {.tv_sec = attributes.mtime, .tv_nsec = attributes.mtime_nanoseconds};
}

std::string Extractor::PathOf(const Node& node) const {
  if (&node == &directories_.front()) return "";
  std::string path(node.name);
  for (std::size_t number = node.directory; number != 0; number = directories_[number].directory)
    path.insert(0, fmt::format("{}/", directories_[number].name));
  return path;
}

// Sums of what an image says stay at the largest number.
std::uint64_t Sum(std::uint64_t a, std::uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

Result<> Extractor::Add(const DirectoryEntry& entry) {
  const Node node{.directory = open_.back(), .name = entry.name, .inode = entry.inode};
  switch (entry.attributes.type) {
    case FileType::kFile:
      files_.emplace_back(node, entry.attributes.size);
      content_ += entry.attributes.size;
      needed_ = Sum(needed_, OnDisk(entry.attributes.stored));
      part_size_ = std::max(part_size_, needed_ / kMoreParts);
      break;
    case FileType::kSymlink:
      symlinks_.push_back(node);
      break;
    case FileType::kDirectory:
      open_.push_back(directories_.size());
      directories_.push_back(node);
      break;
  }
  return Interruption::Check();
}

Result<> Extractor::Collect() {
  directories_.push_back({.directory = 0, .name = "", .inode = InodeId::kRoot});
  open_.push_back(0);
  TRY(WalkImage(reader_, InodeId::kRoot,
                {.visit = [&](const DirectoryEntry& entry, const std::string&) -> Result<WalkStep> {
                   TRY(Add(entry));
                   return WalkStep::kContinue;
                 },
                 .leave = [&](const std::string&) -> Result<> {
                   open_.pop_back();
                   return {};
                 }}));
  if (content_ != reader_.bundle().trailer.content_size)
    return Failure(Error::Corrupt("trailer: content_size is not that of the files"));
  return {};
}

// Bytes of a file on the disk. A file that cannot be looked through counts with its size.
std::uint64_t Extractor::DataOf(const File& file, unsigned& looks) const {
  std::uint64_t bytes = 0;
  for (std::uint64_t offset = 0; offset < file.size;) {
    if (looks < 2) return OnDisk(file.size);
    looks -= 2;
    auto data = reader_.Seek(file.inode, offset, /*hole=*/false);
    if (!data && data.error().sys_errno() == ENXIO) break;
    auto hole = data ? reader_.Seek(file.inode, *data, /*hole=*/true) : data;
    if (!hole) return OnDisk(file.size);
    bytes = Sum(bytes, OnDisk(*hole - *data));
    offset = *hole;
  }
  return bytes;
}

Result<> Extractor::CheckFileSize() const {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  for (const File& file : files_) {
    if (file.size <= limit.rlim_cur) continue;
    return Failure(
        Error(ErrorKind::kSystem,
              fmt::format("extract: {}: {}: its {} bytes are more than the limit of {}",
                          Quoted(PathOf(file)), ::strerror(EFBIG), file.size, limit.rlim_cur),
              EFBIG)
            .Remedy("raise 'ulimit -f'"));
  }
  return {};
}

// Before the first byte is written: an image of some kilobytes can hold petabytes.
Result<> Extractor::CheckRoom() {
  struct statvfs status;
  if (::fstatvfs(root_, &status) < 0) return Failure(Error::FromErrno("extract"));
  auto full = [](const std::string& what) {
    return Failure(
        Error(ErrorKind::kSystem, fmt::format("extract: {}: {}", ::strerror(ENOSPC), what), ENOSPC)
            .Remedy("make room, or extract to another file system"));
  };
  const std::uint64_t available = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (needed_ > available) {
    // Files with many holes were counted with them.
    needed_ = 0;
    unsigned looks = kHoleLooks;
    for (const File& file : files_) needed_ = Sum(needed_, DataOf(file, looks));
  }
  if (needed_ > available) {
    return full(
        fmt::format("the files need {} KB, {} are free", (needed_ >> 10) + 1, available >> 10));
  }
  const std::uint64_t nodes = directories_.size() + symlinks_.size() + files_.size();
  if (status.f_files != 0 && status.f_favail < nodes) {
    return full(fmt::format("there are {} files, the file system takes {} more", nodes,
                            std::uint64_t{status.f_favail}));
  }
  return {};
}

Result<> Extractor::MakeSymlink(const Node& node, ParentBeneath& parents) {
  const std::string path = PathOf(node), target(TRY(reader_.ReadLink(node.inode)));
  const Attributes attributes = TRY(reader_.Stat(node.inode));
  const timespec times[2] = {Time(attributes), Time(attributes)};
  const auto [directory, name] = parents.Of(path);
  if (directory < 0 || ::symlinkat(target.c_str(), directory, name) < 0 ||
      ::utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0) {
    return Failure(SystemError("create", path));
  }
  return {};
}

// Files of several parts as well: which of them is copied first is left to chance.
Result<> Extractor::MakeNodes() {
  ParentBeneath parents(root_);
  for (const Node& node : std::span(directories_).subspan(1)) {
    const std::string path = PathOf(node);
    const auto [directory, name] = parents.Of(path);
    if (directory < 0 || ::mkdirat(directory, name, 0700) < 0)
      return Failure(SystemError("create", path));
  }
  for (const Node& node : symlinks_) TRY(MakeSymlink(node, parents));
  for (const File& file : files_) {
    if (file.parts == 1) continue;
    const std::string path = PathOf(file);
    UniqueFd fd = OpenBeneath(root_, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(file.size)) < 0)
      return Failure(SystemError("create", path));
  }
  return {};
}

Result<> Extractor::Finish(int fd, const Node& node) {
  const Attributes attributes = TRY(reader_.Stat(node.inode));
  const timespec times[2] = {Time(attributes), Time(attributes)};
  if (::fchmod(fd, attributes.mode) < 0) return Failure(SystemError("chmod", PathOf(node)));
  if (::futimens(fd, times) < 0) return Failure(SystemError("set the time of", PathOf(node)));
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
    TRY(Interruption::Check());
  }
  if (progress_) {
    MutexLock lock(progress_mutex_);
    progress_(done_ += copied);
  }
  return {};
}

// Files of some bytes may need megabytes of blocks each, and share them with all others: the cache
// does not help if they take them in turn.
Result<> Extractor::CheckDecoded() const {
  const std::uint64_t block_size = reader_.bundle().trailer.block_size;
  const std::uint64_t decoded = reader_.cache().counters().misses * block_size;
  const std::uint64_t whole = Sum(reader_.bundle().trailer.block_count * block_size, needed_);
  if (decoded <= kMaxDecodedAnyway || (decoded - kMaxDecodedAnyway) / kMaxDecodedFactor <= whole)
    return {};
  return Failure(Error::Corrupt("extract: the files need the same blocks too often"));
}

Result<> Extractor::CopyPart(const Part& part) {
  TRY(Interruption::Check());
  TRY(CheckDecoded());
  File& file = files_[part.file];
  const std::string path = PathOf(file);
  const int create = file.parts == 1 ? O_CREAT | O_EXCL : 0;
  UniqueFd fd = OpenBeneath(root_, path, O_WRONLY | O_NOFOLLOW | create, 0600);
  if (!fd) return Failure(SystemError("create", path));
  if (create != 0 && ::ftruncate(fd.get(), static_cast<off_t>(file.size)) < 0)
    return Failure(SystemError("write", path));
  TRY_WITHIN(Quoted(path), CopyContents(fd.get(), part));
  // Writing changes the time and may clear bits of the mode: whoever is last sets them.
  return file.parts_left.fetch_sub(1) == 1 ? Finish(fd.get(), file) : Result<>();
}

// Of what is no hole only.
Result<> Extractor::AddParts(std::size_t number) {
  File& file = files_[number];
  const std::uint64_t size = std::max(part_size_, file.size / kMaxParts);
  const std::uint64_t place = reader_.Place(file.inode);
  for (std::uint64_t offset = 0; offset < file.size;) {
    auto data = reader_.Seek(file.inode, offset, /*hole=*/false);
    if (!data && data.error().sys_errno() == ENXIO) break;
    if (!data) return Failure(std::move(data).error().Within(Quoted(PathOf(file))));
    const std::uint64_t length = std::min(size, file.size - *data);
    parts_.push_back({.file = number, .offset = *data, .length = length, .place = place});
    ++file.parts;
    offset = *data + length;
  }
  if (file.parts == 0) {
    parts_.push_back({.file = number, .offset = 0, .length = 0, .place = place});
    file.parts = 1;
  }
  file.parts_left = file.parts;
  return {};
}

Result<> Extractor::Run() {
  TRY(Collect());
  TRY(CheckFileSize());
  TRY(CheckRoom());
  for (std::size_t number = 0; number < files_.size(); ++number) TRY(AddParts(number));
  TRY(MakeNodes());
  std::ranges::stable_sort(parts_, {}, &Part::place);
  TRY(ParallelFor(parts_.size(), workers_, [this](std::size_t i) { return CopyPart(parts_[i]); }));
  for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory) {
    const std::string path = PathOf(*directory);
    UniqueFd fd = OpenBeneath(root_, path, O_RDONLY | O_DIRECTORY);
    if (!fd) return Failure(SystemError("open", path));
    TRY(Finish(fd.get(), *directory));
  }
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
  ExtractTarget tree = TRY(ExtractTarget::Create(directory));
  TRY(ExtractInto(reader, tree.fd(), 0, progress));
  return tree.Commit();
}

}  // namespace haft
