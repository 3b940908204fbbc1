#pragma once

#include <sys/types.h>

#include <string>

#include "haft/base/error.h"
#include "haft/base/temporary_directory.h"
#include "haft/base/unique_fd.h"
#include "haft/pack/tree.h"

namespace haft {

// A private directory below $TMPDIR or /tmp for the time of a build. It goes when its owner does, also by kill -9: a
// child waits for that and removes it. Should that be killed too, the next build does (see TemporaryDirectory).
class WorkDirectory {
 public:
  // REQUIRES: this process has one thread.
  static Result<WorkDirectory> Create();
  WorkDirectory(WorkDirectory&& other) noexcept;
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  ~WorkDirectory();

  const std::string& path() const { return directory_.path(); }
  // If this process dies, so does the process group `group`; 0: none.
  void KillWithUs(pid_t group) const;

 private:
  WorkDirectory(TemporaryDirectory directory, pid_t keeper, UniqueFd alive)
      : directory_(std::move(directory)), keeper_(keeper), alive_(std::move(alive)) {}

  TemporaryDirectory directory_;  // its lock is the keeper's as well
  pid_t keeper_;    // -1: moved from
  UniqueFd alive_;  // closed: remove it
};

// Makes `directory` (which must not exist) show what `tree` holds, without copying what is on disk already: files of
// input directories become symbolic links to them. For reading only.
Result<> ShowTree(const Tree& tree, const std::string& directory);

}  // namespace haft
