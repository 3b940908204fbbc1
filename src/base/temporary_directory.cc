#include "haft/base/temporary_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/path.h"
#include "haft/base/remove_tree.h"
#include "haft/base/safe_path.h"
#include "haft/base/variables.h"

namespace haft {
namespace {

constexpr unsigned kRandomLetters = 6;

bool Lock(int fd) {
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
}

// What killed processes left.
void RemoveAbandoned(int parent, std::string_view prefix) {
  for (const std::string& name : NamesIn(parent)) {
    if (!name.starts_with(prefix) || name.size() != prefix.size() + kRandomLetters) continue;
    struct stat status;
    UniqueFd fd = OpenDirectoryAt(parent, name);
    if (fd && ::fstat(fd.get(), &status) == 0 && status.st_uid == ::geteuid() && Lock(fd.get())) {
      RemoveTree(parent, name);
    }
  }
}

}  // namespace

Result<TemporaryDirectory> TemporaryDirectory::CreateInTmp(std::string_view prefix) {
  const auto wanted = GetVariable("TMPDIR");
  if (!wanted || !wanted->starts_with('/')) return Create("/tmp", prefix);
  return TRY_WITHIN("TMPDIR", Create(*wanted, prefix));
}

Result<TemporaryDirectory> TemporaryDirectory::Create(const std::string& parent,
                                                      std::string_view prefix) {
  SafePath safe = TRY(OpenSafeDirectory(parent));
  return CreateIn(std::move(safe.fd), safe.path, prefix);
}

Result<TemporaryDirectory> TemporaryDirectory::CreateIn(UniqueFd parent,
                                                        const std::string& parent_path,
                                                        std::string_view prefix) {
  RemoveAbandoned(parent.get(), prefix);
  const std::string what = fmt::format("create a directory in {}", Quoted(parent_path));
  for (;;) {
    ClearUmask umask;
    auto made = MakeDirectoryAt(parent.get(), prefix, kRandomLetters, 0700);
    if (!made) return Failure(Error::FromErrno(what, made.error().sys_errno()));
    std::string name = *std::move(made);
    UniqueFd fd = OpenDirectoryAt(parent.get(), name);
    if (!fd && errno != ENOENT) return Failure(Error::FromErrno(what));
    // Somebody who cleans up may have been faster than the lock.
    if (fd && Lock(fd.get()) && OpenDirectoryAt(parent.get(), name)) {
      std::string path = JoinPath(parent_path, name);
      return TemporaryDirectory(std::move(parent), std::move(fd), std::move(name), std::move(path));
    }
  }
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : parent_(std::move(other.parent_)),
      fd_(std::move(other.fd_)),
      name_(std::exchange(other.name_, "")),
      path_(std::move(other.path_)) {}

void TemporaryDirectory::Remove() {
  if (!name_.empty()) RemoveTree(parent_.get(), name_);
  name_.clear();
}

}  // namespace haft
