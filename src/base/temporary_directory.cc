#include "haft/base/temporary_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "haft/base/clear_umask.h"
#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/remove_tree.h"
#include "haft/base/variables.h"

namespace haft {
namespace {

bool Lock(int fd) {
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
}

// What killed processes left.
void RemoveAbandoned(int parent, std::string_view prefix) {
  for (const std::string& name : NamesIn(parent)) {
    if (!name.starts_with(prefix) || name.size() != prefix.size() + 6) continue;
    struct stat status;
    UniqueFd fd = OpenDirectoryAt(parent, name);
    if (fd && ::fstat(fd.get(), &status) == 0 && status.st_uid == ::geteuid() && Lock(fd.get())) {
      RemoveTree(parent, name);
    }
  }
}

}  // namespace

std::string TemporaryParent() {
  const auto wanted = GetVariable("TMPDIR");
  return wanted && wanted->starts_with('/') ? *wanted : "/tmp";
}

Result<TemporaryDirectory> TemporaryDirectory::Create(const std::string& parent,
                                                      std::string_view prefix) {
  UniqueFd parent_fd = TRY(OpenFile(parent, O_RDONLY | O_DIRECTORY));
  RemoveAbandoned(parent_fd.get(), prefix);
  for (;;) {
    std::string path = fmt::format("{}/{}XXXXXX", parent, prefix);
    ClearUmask umask;
    auto failed = [&] {
      return Failure(Error::FromErrno(fmt::format("create a directory in {}", Quoted(parent))));
    };
    if (::mkdtemp(path.data()) == nullptr) return failed();
    std::string name = std::string(BaseName(path));
    UniqueFd fd = OpenDirectoryAt(parent_fd.get(), name);
    if (!fd && errno != ENOENT) return failed();
    // Somebody who cleans up may have been faster than the lock.
    if (fd && Lock(fd.get()) && OpenDirectoryAt(parent_fd.get(), name)) {
      return TemporaryDirectory(std::move(parent_fd), std::move(fd), std::move(name),
                                std::move(path));
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
