#include "haft/base/remove_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "haft/base/directory.h"

namespace haft {
namespace {

void MakeAccessible(int parent, const std::string& name) {
  // Of the directory that is open: by name it might have become a link to another one meanwhile.
  UniqueFd fd(::openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return;
  constexpr long kFchmodat2 = 452;
  if (::syscall(kFchmodat2, fd.get(), "", 0700, AT_EMPTY_PATH) == 0) return;
  if (::chmod(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), 0700) == 0) return;
  // Without /proc, one that may be read at least.
  UniqueFd readable = OpenDirectoryAt(parent, name);
  if (readable) ::fchmod(readable.get(), 0700);
}

// Calls `visit` for each name in a directory; whether there was any.
template <typename Visit>
bool ForEachName(int directory, Visit visit) {
  bool any = false;
  DirectoryStream stream(directory);
  while (const dirent* entry = stream.Next()) {
    any = true;
    visit(std::string(entry->d_name));
  }
  return any;
}

}  // namespace

// With two descriptors, however deep it is: what is found in a directory below is moved up first.
void RemoveContents(int directory) {
  ::fchmod(directory, 0700);
  unsigned long moved = 0;
  bool progress = true;
  auto remove_child = [&](const std::string& child) {
    if (::unlinkat(directory, child.c_str(), 0) == 0) {
      progress = true;
      return;
    }
    MakeAccessible(directory, child);
    UniqueFd below = OpenDirectoryAt(directory, child);
    if (!below) return;
    ForEachName(below.get(), [&](const std::string& grandchild) {
      if (::unlinkat(below.get(), grandchild.c_str(), 0) == 0) return;
      MakeAccessible(below.get(), grandchild);  // what moves must be writable itself
      std::string place = fmt::format(".haft-remove-{}", moved++);
      if (::syscall(SYS_renameat2, below.get(), grandchild.c_str(), directory, place.c_str(),
                    RENAME_NOREPLACE) == 0) {
        progress = true;
      }
    });
    if (::unlinkat(directory, child.c_str(), AT_REMOVEDIR) == 0) progress = true;
  };
  while (progress) {
    progress = false;
    if (!ForEachName(directory, remove_child)) break;
  }
}

void RemoveTree(int parent, const std::string& name) {
  MakeAccessible(parent, name);
  if (UniqueFd top = OpenDirectoryAt(parent, name)) RemoveContents(top.get());
  ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
}

}  // namespace haft
