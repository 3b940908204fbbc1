// The empty directory of the host that an image is mounted over in a private mount namespace. It is
// made when nobody has made it, and goes with the last of its users: a directory that is removed
// takes every mount on it along, in all namespaces.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

class MountDirectory {
 public:
  // None: there is nothing to remove.
  MountDirectory() = default;

  // Makes `path` in `parent`, its DirName, and uses it from now on; with `make_parent` the parent
  // as well, in a directory that is there. Both are this user's own, and nobody else can put
  // anything beside them, or it fails. A `path` that something is mounted on, or that
  // somebody else has made, is kept by others; this object is then empty. Nothing is left after a
  // failure.
  static Result<MountDirectory> Make(const std::string& path, bool make_parent);

  // The same use of the directory, for a process that was forked: it lasts as long as any process
  // has the descriptor open.
  MountDirectory Inherited() const;
  int descriptor() const { return directory_.get(); }  // -1: an empty object

  // Removes the directories beside it that nobody uses: those of starts that were killed with all
  // their processes.
  void RemoveUnusedBeside() const;

  // Removes the directory, then its parent, each only if nobody else uses it. To be called by one
  // of the processes of this use, when nothing of it is mounted any more. Makes no calls but
  // flock and unlinkat, relative to descriptor().
  void Remove() const;

  // The directory below which Remove() removes; none for an empty object.
  UniqueFd OpenAround() const;

 private:
  UniqueFd directory_ = {};                   // with a shared lock; none: an empty object
  std::string path_ = {}, parent_path_ = {};  // from there; parent_path_ "": the parent stays
  bool found_parent_ = false;                 // there may be others
};

}  // namespace haft
