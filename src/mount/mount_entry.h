// A directory of this user's own in which fusermount3 mounts an image. It holds the mount point,
// called like the bundle, and a lock file:
//
//   LOCATION/NAME-ID/NAME    for all starts of an image, which share the mount
//   LOCATION/mXXXXXXXX/NAME  for one start
//
// Whoever needs the mount keeps the directory locked shared (flock), in the cleanup process of each
// start; who has it exclusively may remove it. The lock file is held while a mount is made.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/image/image_reader.h"
#include "haft/mount/host_mount.h"
#include "user_directory.h"

namespace haft {

class MountEntry {
 public:
  // Removes what starts left in `location` whose processes were all killed, a few entries at a
  // time; the paths of those that are gone.
  static std::vector<std::string> Sweep(const UserDirectory& location);

  // Opens the directory that all starts of this image have in `location`, and makes it if there is
  // none. It is not locked.
  static Result<MountEntry> OpenShared(const UserDirectory& location, const std::string& name,
                                       const ImageReader& reader);
  // Makes one that nobody else will use, locked shared.
  static Result<MountEntry> MakePrivate(const UserDirectory& location, const std::string& name);

  int fd() const { return directory_.fd.get(); }  // whoever holds a copy holds the lock
  std::string mount_path() const { return directory_.path + "/" + name_; }

  // Locks it shared. ENOENT: another process has removed it meanwhile.
  Result<> Join();
  // Keeps other starts from looking at the mount and changing it, until the descriptor is closed.
  Result<UniqueFd> LockMount() const;
  // Whether a living mount is there. EACCES: there is one, which this process may not use, because
  // its group is another one's.
  Result<HostMount> State() const;
  // Makes the mount point.
  Result<> MakeMountPoint() const;

  // Locks it exclusively if it is still there and nobody else has it locked. False: this process
  // has it no longer locked, and others have to remove it.
  bool BecomeLastUser();
  // From exclusive to shared.
  void Rejoin();
  // Unmounts, if the mount is not in use, and removes everything. False: it is in use. REQUIRES:
  // it is locked exclusively. May be called in a child that inherited it.
  bool Remove();

 private:
  MountEntry(int location, UserDirectory directory, std::string name)
      : location_(location), directory_(std::move(directory)), name_(std::move(name)) {}

  int location_;  // not owned
  UserDirectory directory_;
  std::string name_;
};

}  // namespace haft
