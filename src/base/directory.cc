#include "haft/base/directory.h"

#include <errno.h>
#include <fcntl.h>

#include <string_view>

namespace haft {

DirectoryStream::DirectoryStream(int directory) {
  UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return;
  stream_.reset(::fdopendir(own.get()));
  if (stream_) static_cast<void>(own.Release());  // the stream's now
}

const dirent* DirectoryStream::Next() {
  if (!stream_) return nullptr;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream_.get());
    if (entry == nullptr) return nullptr;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return entry;
  }
}

UniqueFd OpenDirectoryAt(int parent, const std::string& name) {
  return UniqueFd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

std::vector<std::string> NamesIn(int directory) {
  std::vector<std::string> names;
  DirectoryStream stream(directory);
  while (const dirent* entry = stream.Next()) names.emplace_back(entry->d_name);
  return names;
}

}  // namespace haft
