#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "haft/base/beneath.h"
#include "haft/image/extract.h"
#include "haft/image/walk_image.h"

namespace haft {
namespace {

bool IsExtractedEntry(const ImageReader& reader, ParentBeneath::Place place,
                      const DirectoryEntry& entry) {
  struct stat status;
  if (place.directory < 0 ||
      ::fstatat(place.directory, place.name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    return false;
  const Attributes& attributes = entry.attributes;
  switch (attributes.type) {
    case FileType::kFile:
      return S_ISREG(status.st_mode) &&
             static_cast<std::uint64_t>(status.st_size) == attributes.size &&
             status.st_mtim.tv_sec == attributes.mtime;
    case FileType::kSymlink: {
      auto expected = reader.ReadLink(entry.inode);
      std::string target(format::kMaxTargetSize + 1, '\0');
      ssize_t size = ::readlinkat(place.directory, place.name, target.data(), target.size());
      return expected && size >= 0 &&
             std::string_view(target).substr(0, static_cast<std::size_t>(size)) == *expected;
    }
    case FileType::kDirectory:
      return S_ISDIR(status.st_mode);
  }
  return false;
}

}  // namespace

bool IsExtractOf(const ImageReader& reader, int directory) {
  ParentBeneath parents(directory);
  bool same = true;
  auto visit = [&](const DirectoryEntry& entry, const std::string& path) -> Result<WalkStep> {
    same = IsExtractedEntry(reader, parents.Of(path), entry);
    return same ? WalkStep::kContinue : WalkStep::kStop;
  };
  return WalkImage(reader, InodeId::kRoot, {.visit = visit}) && same;
}

}  // namespace haft
