// Paths that nobody but root and this user can lead elsewhere.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// Whose files are trusted.
enum class TrustedOwners { kRootAndSelf, kRoot };

// What a path leads to.
struct SafePath {
  std::string path;  // absolute, without symbolic links, "." and ".."
  UniqueFd fd;
};

// Opens `path` by descriptors, component by component from "/" (a relative one begins with the
// working directory), and refuses it (kUnsupported, EPERM) as soon as a component could be replaced
// by others: each directory belongs to a trusted owner, and others may not write to it unless its
// sticky bit is set; in such a directory a symbolic link belongs to a trusted owner too. Links are
// followed one component at a time, under the same conditions. The error names the component. What
// is missing is ENOENT.
//
// In a user namespace the kernel shows files of users that the namespace does not map as the
// overflow user's, host's root among them. Such an owner is trusted for the directories that belong
// to root on every host (see the .cc file) and nowhere else: who owns these has replaced the
// programs this one consists of long since.
//
// A directory, O_PATH. The last component may be a directory with a sticky bit, such as /tmp.
Result<SafePath> OpenSafeDirectory(const std::string& path,
                                   TrustedOwners owners = TrustedOwners::kRootAndSelf);

// A regular file that belongs to a trusted owner and that others may not write to. `flags` are
// O_RDONLY or O_PATH.
Result<SafePath> OpenSafeFile(const std::string& path, int flags,
                              TrustedOwners owners = TrustedOwners::kRootAndSelf);

namespace internal {
// Whether the user namespace that has this /proc/self/uid_map knows the user `id`.
bool IsMapped(std::string_view uid_map, unsigned long id);
}  // namespace internal

}  // namespace haft
