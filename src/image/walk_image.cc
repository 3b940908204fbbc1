#include "haft/image/walk_image.h"

#include <fmt/format.h>

#include <vector>

namespace haft {
namespace {

class Walker {
 public:
  Walker(const ImageReader& reader, const WalkVisitor& visitor)
      : reader_(reader), visitor_(visitor) {}

  Result<> Run(InodeId top) {
    TRY(Enter(top));
    while (!open_.empty()) {
      Level& level = open_.back();
      path_.resize(level.path_size);
      if (level.next < level.count) {
        if (TRY(VisitNext(level)) == WalkStep::kStop) return {};
        continue;
      }
      if (visitor_.leave) TRY(visitor_.leave(path_));
      open_.pop_back();
    }
    return {};
  }

 private:
  // A directory on the way down.
  struct Level {
    InodeId directory;
    std::uint64_t next = 0;   // child
    std::uint64_t count = 0;  // of children
    std::size_t path_size;    // of its own path in path_
  };

  Result<> Damaged(Error error) const {
    if (visitor_.damaged) return visitor_.damaged(std::move(error), path_);
    return Failure(std::move(error).Within(Quoted("/" + path_)));
  }

  // With path_ as its path. A directory that cannot be read is one without children.
  Result<> Enter(InodeId directory) {
    auto count = reader_.EntryCount(directory);
    const auto known = count.value_or(0);
    if (!count) TRY(Damaged(std::move(count).error()));
    open_.push_back({.directory = directory, .count = known, .path_size = path_.size()});
    return {};
  }

  Result<WalkStep> VisitNext(Level& level) {
    auto entry = reader_.EntryAt(level.directory, level.next++);
    if (entry && !*entry) entry = Failure(Error::Corrupt("directory is shorter than it says"));
    if (entry && path_.size() + 1 + (*entry)->name.size() > format::kMaxPathSize) {
      entry =
          Failure(Error::Corrupt(fmt::format("path of more than {} bytes", format::kMaxPathSize)));
    }
    if (!entry) {
      TRY(Damaged(std::move(entry).error()));
      return WalkStep::kContinue;
    }
    if (!path_.empty()) path_ += '/';
    path_ += (*entry)->name;
    WalkStep step = TRY(visitor_.visit(**entry, path_));
    if (step == WalkStep::kContinue && (*entry)->attributes.type == FileType::kDirectory)
      TRY(Enter((*entry)->inode));  // `level` may have moved
    return step;
  }

  const ImageReader& reader_;
  const WalkVisitor& visitor_;
  std::vector<Level> open_;
  std::string path_;  // of what is looked at
};

}  // namespace

Result<> WalkImage(const ImageReader& reader, InodeId top, const WalkVisitor& visitor) {
  return Walker(reader, visitor).Run(top);
}

}  // namespace haft
