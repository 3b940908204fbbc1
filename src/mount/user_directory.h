// Directories of this user's own in places that belong to everybody, where other users may have
// planted something.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/mount/mount_settings.h"

namespace haft {

// A directory that nobody but this user (and root) can write to, by descriptor.
struct UserDirectory {
  std::string path;  // absolute, without symbolic links, of [A-Za-z0-9._/-]
  UniqueFd fd;
};

// Opens `path`, made with mode 0700 (root: 0755, so that children that drop their rights get in) if
// it does not exist. Refused: one that is a symlink or another user's, or that others may write to
// (of an ordinary user: read); one that others could replace, in its parent or further up (see
// OpenSafeDirectory); for root, one that others cannot reach.
Result<UserDirectory> OpenUserDirectory(const std::string& path);
// The same; where somebody else has taken the name, "PATH-xxxxxxxx" beside it, which is found again
// as long as it is there.
Result<UserDirectory> OpenUserDirectoryOrBeside(const std::string& path);

// Where such a directory may be, best first. Memory of the machine (tmpfs) is best for mount points
// and last for contents. TMPDIR and XDG_RUNTIME_DIR are candidates if they are absolute and not
// odd.
std::vector<std::string> MountPointCandidates(const MountSettings& settings);
std::vector<std::string> ContentCandidates(const MountSettings& settings);

// A new directory "PREFIXxxxxxx" with mode 0700 (root: 0755) in `parent`, locked shared (flock) as
// long as the descriptor or a copy of it is open, which also keeps cleaners of /tmp away.
Result<UserDirectory> MakeLockedDirectory(const UserDirectory& parent, const std::string& prefix);

// Removes the directory if it is empty, and if its path still leads to it: another of this user's
// processes may have removed it and another user taken the name.
void RemoveIfEmpty(const UserDirectory& directory);

// `make` needs a user directory that another process may remove, empty, at any moment; then it
// fails with ENOENT.
template <typename Make>
auto RetryWhileVanishing(Make make) {
  auto made = make();
  for (int attempt = 0; !made && made.error().sys_errno() == ENOENT && attempt < 20; ++attempt)
    made = make();
  return made;
}

// The mode of directories made here.
unsigned UserDirectoryMode();

}  // namespace haft
