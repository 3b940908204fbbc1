#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "haft/base/error.h"
#include "haft/base/temporary_directory.h"
#include "haft/base/unique_fd.h"
#include "haft/tree/tree.h"

namespace haft {

// A private directory for the time of a build: below $TMPDIR or /tmp, or in memory. It is removed
// when its owner exits, even by kill -9: a child waits for that and removes it. If the child is
// killed too, the next build removes it (see TemporaryDirectory).
class WorkDirectory {
 public:
  // REQUIRES: this process has one thread.
  static Result<WorkDirectory> Create();
  // In /dev/shm, where creating thousands of symbolic links is cheap. Fails if /dev/shm is not a
  // tmpfs that all may write to, or is mounted noexec, or if $TMPDIR names another place.
  static Result<WorkDirectory> CreateInMemory();
  WorkDirectory(WorkDirectory&& other) noexcept;
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  ~WorkDirectory();

  const std::string& path() const { return directory_.path(); }
  // If this process dies, so does the process group `group`; 0: none.
  void KillWithUs(pid_t group) const;

 private:
  static Result<WorkDirectory> In(TemporaryDirectory directory);
  WorkDirectory(TemporaryDirectory directory, pid_t cleanup, UniqueFd alive)
      : directory_(std::move(directory)), cleanup_(cleanup), alive_(std::move(alive)) {}

  TemporaryDirectory directory_;  // its lock is the cleanup's as well
  pid_t cleanup_;                 // -1: moved from
  UniqueFd alive_;                // closed: remove it
};

// Makes `directory` (which must not exist) show what `tree` holds, without copying what is on disk
// already: files of input directories become symbolic links to them. For reading only. With
// `everything` they are copies, which may be written to as well.
Result<> MaterializeTree(const Tree& tree, const std::string& directory, bool everything = false);

// The size of what MaterializeTree() copies.
std::uint64_t CopiedSize(const Tree& tree, bool everything = false);

}  // namespace haft
