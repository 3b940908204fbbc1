#include "check_inode.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "haft/base/file_io.h"

namespace haft {

Error BadInode(std::uint32_t row, std::string_view field) {
  return Error::Corrupt(fmt::format("inode {}: {} is impossible", std::uint64_t{row} + 1, field));
}

Result<> CheckInode(std::uint32_t row, const format::Inode& record,
                    const format::Trailer& trailer) {
  if (row == 0 ? record.parent != 0 : record.parent >= row) return Failure(BadInode(row, "parent"));
  if (record.mtime_nanoseconds > 999'999'999) return Failure(BadInode(row, "mtime"));
  if ((record.mode & ~(S_IFMT | format::kModeMask)) != 0) return Failure(BadInode(row, "mode"));
  switch (record.mode & S_IFMT) {
    case S_IFDIR:
      // Children come behind their parent, which rules out cycles.
      if (record.count != 0 && record.first <= row) return Failure(BadInode(row, "first"));
      if (record.count != 0 && !FitsWithin(record.first, record.count, trailer.inode_count))
        return Failure(BadInode(row, "count"));
      if (record.size != 0) return Failure(BadInode(row, "size"));
      return {};
    case S_IFREG:
      if (record.size > format::kMaxFileSize) return Failure(BadInode(row, "size"));
      if (record.count != 0 && !FitsWithin(record.first, record.count, trailer.extent_count))
        return Failure(BadInode(row, "extents"));
      if ((record.size == 0) != (record.count == 0)) return Failure(BadInode(row, "count"));
      return {};
    case S_IFLNK:
      if (record.size == 0 || record.size > format::kMaxTargetSize)
        return Failure(BadInode(row, "size"));
      return {};
    default:
      return Failure(BadInode(row, "type"));
  }
}

}  // namespace haft
