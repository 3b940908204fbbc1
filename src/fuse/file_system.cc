#include "file_system.h"

#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstring>
#include <vector>

#include "haft/base/log.h"
#include "haft/base/subprocess.h"
#include "haft/format/digest.h"
#include "haft/format/image_paths.h"
#include "haft/format/limits.h"
#include "request_hook.h"

namespace haft {
namespace {

// Seconds; the kernel takes anything below 2^31 as it is. An image never changes.
constexpr double kForever = 1 << 30;
constexpr const char* kStatsName = format::kStatsName.data();  // a literal
// The kernel makes an inode (about 1 KiB) of every entry READDIRPLUS gives it. Directories with
// more entries than this are listed by name and type only.
constexpr std::uint64_t kMaxPlusEntries = 4096;
// A listing is given in as many replies as it takes: each ends soon, whatever the image says of its
// entries, and after one entry at least.
constexpr std::chrono::milliseconds kListingTime{20};
// Pieces of a reply: extents, and the smallest blocks that one of them goes through.
static_assert(format::kMaxReadExtents + format::kReadUnit / format::kMinBlockSize < IOV_MAX);

fuse_ino_t ToFuse(InodeId inode) {
  return fuse_ino_t{std::to_underlying(inode)} + 1;
}
static_assert(FUSE_ROOT_ID == static_cast<fuse_ino_t>(InodeId::kRoot) + 1);

// Numbers outside of the image's lead to a row that does not exist, which the reader reports.
InodeId FromFuse(fuse_ino_t inode) {
  return InodeId{static_cast<std::uint32_t>(std::min<fuse_ino_t>(inode - 1, 0xFFFFFFFF))};
}

mode_t TypeBits(FileType type) {
  switch (type) {
    case FileType::kFile:
      return S_IFREG;
    case FileType::kDirectory:
      return S_IFDIR;
    case FileType::kSymlink:
      return S_IFLNK;
  }
  return 0;
}

}  // namespace

FileSystem::FileSystem(ImageReader reader, const ServerOptions& options)
    : reader_(std::move(reader)), options_(options), next_snapshot_(reader_.inode_count() + 1) {
  if (RecordsRequests()) reader_.SetBlockUseHook(NoteBlock);
}

void FileSystem::FindStatsDirectory() {
  auto found = reader_.Lookup(InodeId::kRoot, format::kHaftDirectory);
  if (found && *found && (*found)->attributes.type == FileType::kDirectory) {
    stats_directory_ = ToFuse((*found)->inode);
  }
}

void FileSystem::ReplyError(fuse_req_t request, const Error& error) {
  if (error.kind() == ErrorKind::kCorrupt || error.kind() == ErrorKind::kSystem) {
    statistics_.RecordError(error.message());
    Log(LogLevel::kError, "{}", error.message());
  }
  fuse_reply_err(request, error.ToErrno());
}

struct stat FileSystem::ToStat(fuse_ino_t inode, const Attributes& attributes) const {
  struct stat status = {};
  status.st_ino = inode;
  status.st_mode = TypeBits(attributes.type) | attributes.mode;
  status.st_nlink = attributes.links;
  status.st_uid = options_.uid;
  status.st_gid = options_.gid;
  status.st_size = static_cast<off_t>(attributes.size);
  // Python makes a buffer of this size for every file it opens; the C library one for every
  // directory it lists.
  status.st_blksize = attributes.type == FileType::kDirectory ? 128 << 10 : 4096;
  status.st_blocks = static_cast<blkcnt_t>((attributes.stored + 511) / 512);
  status.st_mtim = {.tv_sec = attributes.mtime, .tv_nsec = attributes.mtime_nanoseconds};
  status.st_atim = status.st_ctim = status.st_mtim;
  return status;
}

fuse_entry_param FileSystem::ToEntryParam(const DirectoryEntry& entry) const {
  fuse_entry_param param = {};
  param.ino = ToFuse(entry.inode);
  param.attr = ToStat(param.ino, entry.attributes);
  param.attr_timeout = kForever;
  param.entry_timeout = kForever;
  return param;
}

void FileSystem::Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  NoteName(parent, name);
  if (IsStatsDirectory(parent) && std::strcmp(name, kStatsName) == 0) {
    fuse_entry_param snapshot = NewSnapshot();
    fuse_reply_entry(request, &snapshot);
    return;
  }
  if (std::strlen(name) > format::kMaxNameSize) {
    fuse_reply_err(request, ENAMETOOLONG);
    return;
  }
  auto found = reader_.Lookup(FromFuse(parent), name);
  if (!found) return ReplyError(request, found.error());
  fuse_entry_param param = {};
  param.entry_timeout = kForever;  // inode 0: the kernel remembers that the name does not exist
  if (*found) param = ToEntryParam(**found);
  NoteFound(param.ino);
  fuse_reply_entry(request, &param);
}

void FileSystem::Forget(fuse_ino_t inode, std::uint64_t) {
  // Image inodes need no memory here. A snapshot is looked up once, so one forget ends it.
  if (inode <= reader_.inode_count()) return;
  MutexLock lock(mutex_);
  snapshots_.erase(inode);
}

void FileSystem::Getattr(fuse_req_t request, fuse_ino_t inode) {
  NoteInode(inode);
  struct stat status;
  if (auto snapshot = FindSnapshot(inode)) {
    status = SnapshotStat(inode, snapshot->size());
  } else {
    auto attributes = reader_.Stat(FromFuse(inode));
    if (!attributes) return ReplyError(request, attributes.error());
    status = ToStat(inode, *attributes);
  }
  fuse_reply_attr(request, &status, kForever);
}

void FileSystem::Readlink(fuse_req_t request, fuse_ino_t inode) {
  NoteInode(inode);
  auto target = reader_.ReadLink(FromFuse(inode));
  if (!target) return ReplyError(request, target.error());
  fuse_reply_readlink(request, std::string(*target).c_str());
}

void FileSystem::Read(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset) {
  NoteRange(inode, static_cast<std::uint64_t>(offset), size);
  if (auto snapshot = FindSnapshot(inode)) {
    auto from = std::min(static_cast<std::size_t>(offset), snapshot->size());
    fuse_reply_buf(request, snapshot->data() + from, std::min(size, snapshot->size() - from));
    return;
  }
  if (prefetcher_) prefetcher_->Note(FromFuse(inode), static_cast<std::uint64_t>(offset), size);
  std::vector<Slice> slices;
  auto done = reader_.Read(FromFuse(inode), static_cast<std::uint64_t>(offset), size, slices);
  if (!done) return ReplyError(request, done.error());
  std::vector<iovec> parts;
  parts.reserve(slices.size());
  std::size_t total = 0;
  for (Slice& slice : slices) {
    slice.block.MarkRead(slice.bytes.size());  // the kernel keeps it
    parts.push_back(
        {.iov_base = const_cast<std::byte*>(slice.bytes.data()), .iov_len = slice.bytes.size()});
    total += slice.bytes.size();
  }
  statistics_.CountRead(total);
  NoteReplied(total);
  // One of the pieces a writev takes is the header. The kernel asks for 1 MiB at most.
  assert(parts.size() < IOV_MAX);
  fuse_reply_iov(request, parts.data(), static_cast<int>(parts.size()));
}

// One reply to READDIR or READDIRPLUS being filled.
struct FileSystem::DirectoryBuffer {
  fuse_req_t request;
  std::vector<char> bytes;
  std::size_t used = 0;
  bool plus;

  // False: no room left. `next` is the offset that continues behind this entry.
  bool Add(const char* name, const fuse_entry_param& param, off_t next) {
    std::span<char> rest = std::span(bytes).subspan(used);
    std::size_t size =
        plus ? fuse_add_direntry_plus(request, rest.data(), rest.size(), name, &param, next)
             : fuse_add_direntry(request, rest.data(), rest.size(), name, &param.attr, next);
    if (size > rest.size()) return false;
    used += size;
    return true;
  }
};

// Offsets: 0 is ".", 1 is "..", 2 + i is child i, and behind the last child of .haft comes "stats".
void FileSystem::Readdir(fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
                         bool plus) {
  NoteRange(inode, static_cast<std::uint64_t>(offset), size);
  auto dir = FromFuse(inode);
  auto self = reader_.Stat(dir);
  auto count = reader_.EntryCount(dir);
  if (!self || !count) return ReplyError(request, !self ? self.error() : count.error());
  DirectoryBuffer buffer{.request = request, .bytes = std::vector<char>(size), .plus = plus};
  const auto end = std::chrono::steady_clock::now() + kListingTime;
  for (auto position = static_cast<std::uint64_t>(offset);; ++position) {
    if (buffer.used > 0 && std::chrono::steady_clock::now() > end) break;
    fuse_entry_param param = {};
    std::string name;
    if (position < 2) {
      name = position == 0 ? "." : "..";
      param.attr = ToStat(position == 0 ? inode : ToFuse(self->parent), *self);
    } else if (position - 2 < *count) {
      auto entry = reader_.EntryAt(dir, position - 2);
      if (!entry || !*entry) {
        // What was listed so far is right; the damage is reported when the listing gets there.
        if (buffer.used > 0) break;
        return ReplyError(request,
                          entry ? Error::Corrupt("directory changed its size") : entry.error());
      }
      name = (*entry)->name;
      param = ToEntryParam(**entry);
      if (*count > kMaxPlusEntries) param.ino = 0;
    } else if (position - 2 == *count && IsStatsDirectory(inode)) {
      name = kStatsName;  // inode 0: the kernel has to look it up, which makes a fresh snapshot
      param.attr = SnapshotStat(reader_.inode_count() + 1, 0);
    } else {
      break;
    }
    if (!buffer.Add(name.c_str(), param, static_cast<off_t>(position + 1))) break;
  }
  fuse_reply_buf(request, buffer.bytes.data(), buffer.used);
}

void FileSystem::Statfs(fuse_req_t request) {
  const format::Trailer& trailer = reader_.bundle().trailer;
  struct statvfs status = {};
  status.f_bsize = trailer.block_size;
  status.f_frsize = 4096;
  status.f_blocks = (trailer.content_size + 4095) / 4096;
  status.f_files = trailer.inode_count;
  status.f_namemax = format::kMaxNameSize;
  fuse_reply_statfs(request, &status);
}

void FileSystem::Lseek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence) {
  NoteRange(inode, static_cast<std::uint64_t>(offset), 0);
  auto found =
      reader_.Seek(FromFuse(inode), static_cast<std::uint64_t>(offset), whence == SEEK_HOLE);
  if (!found) return ReplyError(request, found.error());
  fuse_reply_lseek(request, static_cast<off_t>(*found));
}

// --- .haft/stats ---

struct stat FileSystem::SnapshotStat(fuse_ino_t inode, std::size_t size) const {
  return ToStat(inode, {.type = FileType::kFile,
                        .mode = 0444,
                        .links = 1,
                        .size = size,
                        .mtime = 0,
                        .mtime_nanoseconds = 0,
                        .stored = size,
                        .parent = FromFuse(stats_directory_)});
}

void FileSystem::ShareState(const SharedServerState* shared) {
  shared_ = shared;
}

ServerReport FileSystem::Report() const {
  ServerReport report{.bundle = options_.bundle, .image_id = format::ToHex(reader_.image_id())};
  if (shared_ == nullptr) return report;
  report.supervisor = ::getppid();
  report.deaths = shared_->deaths;
  report.last_time = shared_->last_time;
  if (report.deaths > 0) report.last_death = DescribeStatus(shared_->last_status);
  return report;
}

fuse_entry_param FileSystem::NewSnapshot() {
  auto text =
      std::make_shared<const std::string>(statistics_.ToJson(reader_.cache().counters(), Report()));
  fuse_entry_param param = {};
  // Not a number that an earlier server has given out: the kernel would show what it remembers of
  // that.
  std::uint64_t generation = shared_ == nullptr ? 0 : shared_->deaths.load();
  MutexLock lock(mutex_);
  param.ino = (generation << 40) + next_snapshot_++;
  param.attr = SnapshotStat(param.ino, text->size());
  param.attr_timeout = kForever;
  param.entry_timeout = 0;  // look it up again, and get the next snapshot
  snapshots_[param.ino] = std::move(text);
  return param;
}

std::shared_ptr<const std::string> FileSystem::FindSnapshot(fuse_ino_t inode) {
  if (inode <= reader_.inode_count()) return nullptr;
  MutexLock lock(mutex_);
  auto found = snapshots_.find(inode);
  return found == snapshots_.end() ? nullptr : found->second;
}

}  // namespace haft
