#include "haft/base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <array>
#include <span>
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

Result<std::string> MakeDirectoryAt(int parent, std::string_view prefix, unsigned letters,
                                    unsigned mode) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";
  constexpr int kAttempts = 100;
  std::array<unsigned char, 16> random = {};
  const std::span chosen = std::span(random).first(letters);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (::getrandom(chosen.data(), chosen.size(), 0) != static_cast<ssize_t>(chosen.size()))
      return Failure(Error::FromErrno("getrandom"));
    std::string name(prefix);
    for (unsigned char byte : chosen) name += kLetters[byte % kLetters.size()];
    if (::mkdirat(parent, name.c_str(), mode) == 0) return name;
    if (errno != EEXIST) return Failure(Error::FromErrno("make a directory"));
  }
  return Failure(Error(ErrorKind::kSystem, "no free name", EEXIST));
}

}  // namespace haft
