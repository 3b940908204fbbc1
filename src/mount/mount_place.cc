#include "mount_place.h"

#include <sys/stat.h>

#include "haft/base/text.h"
#include "haft/format/image_paths.h"

namespace haft {
namespace {

bool IsDirectory(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string NearestDirectory(std::string path) {
  do path = DirName(path);
  while (!IsDirectory(path));
  return path;
}

}  // namespace

MountPlace PlaceFor(const MountRequest& request) {
  MountPlace place{.path = request.mount_point, .cover = {}, .directory = {}};
  const bool has_own_place = DirName(place.path) != format::kMountParent;
  if (has_own_place) {
    if (!IsDirectory(place.path)) place.cover = NearestDirectory(place.path);
    return place;
  }
  const bool other = IsDirectory(std::string(format::kOtherMountParent));
  if (other || !IsDirectory(std::string(DirName(format::kMountParent))))
    place.path = JoinPath(format::kOtherMountParent, request.name());
  if (request.mode == Mode::kNamespace && (other || place.path == request.mount_point)) {
    auto made = MountDirectory::Make(place.path, !other);
    if (made) {
      place.directory = *std::move(made);
      return place;
    }
    request.clock.Step("no directory for the image, so one is covered: {}", made.error().message());
  }
  // What a start of root's has made is not to be used: it goes with that start.
  place.cover = DirName(place.path);
  if (place.cover == format::kMountParent) place.cover = DirName(place.cover);
  if (!IsDirectory(place.cover)) place.cover = NearestDirectory(place.cover);
  return place;
}

}  // namespace haft
