#include "extract_target.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "haft/base/file_io.h"
#include "haft/base/path.h"

namespace haft {
namespace {

constexpr std::string_view kTemporaryPrefix = ".haft-extract-";

Error Unusable(const std::string& target) {
  return Error::FromErrno(fmt::format("extract into {}", Quoted(target)))
      .Remedy("the directory must not exist or be empty");
}

Result<> CheckTarget(const std::string& target) {
  struct stat status;
  if (::lstat(target.c_str(), &status) < 0) return {};
  errno = ENOTDIR;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(
      S_ISDIR(status.st_mode) ? ::opendir(target.c_str()) : nullptr, ::closedir);
  if (dir == nullptr) return Failure(Unusable(target));
  int names = 0;  // two are "." and ".."
  while (names <= 2 && ::readdir(dir.get()) != nullptr) ++names;
  if (names <= 2) return {};
  errno = ENOTEMPTY;
  return Failure(Unusable(target));
}

}  // namespace

Result<ExtractTarget> ExtractTarget::Create(const std::string& target) {
  std::string path = target;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  auto slash = path.rfind('/');
  std::string parent = slash == path.npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  UniqueFd opened = TRY(OpenFile(parent, O_RDONLY | O_DIRECTORY));
  TRY(CheckTarget(path));
  TemporaryDirectory directory =
      TRY(TemporaryDirectory::CreateIn(std::move(opened), parent, kTemporaryPrefix));
  return ExtractTarget(std::move(directory), std::move(path));
}

Result<> ExtractTarget::Commit() {
  // By the name in the directory that is open: the path to it may lead elsewhere by now. rename(2)
  // replaces an empty directory and nothing else.
  const std::string name(BaseName(target_));
  if (::renameat(directory_.parent(), directory_.name().c_str(), directory_.parent(),
                 name.c_str()) < 0) {
    return Failure(Unusable(target_));
  }
  directory_.Keep();
  return {};
}

}  // namespace haft
