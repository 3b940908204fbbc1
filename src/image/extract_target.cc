#include "extract_target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "haft/base/directory.h"
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
  if (!S_ISDIR(status.st_mode)) return Failure(Unusable(target));
  DirectoryStream directory(target);
  if (!directory) return Failure(Unusable(target));
  if (directory.Next() == nullptr) return {};
  errno = ENOTEMPTY;
  return Failure(Unusable(target));
}

}  // namespace

Result<ExtractTarget> ExtractTarget::Create(const std::string& target) {
  const std::string path = WithoutTrailingSlashes(target);
  const std::string parent = ParentDirectory(path);
  UniqueFd opened = TRY(OpenFile(parent, O_RDONLY | O_DIRECTORY));
  TRY(CheckTarget(path));
  TemporaryDirectory directory =
      TRY(TemporaryDirectory::CreateIn(std::move(opened), parent, kTemporaryPrefix));
  return ExtractTarget(std::move(directory), path);
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
