// What a thread, and all that it starts, may still do with files. See landlock(7).
#pragma once

#include <linux/landlock.h>

#include <cstdint>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// The numbers of its system calls are the same on all machines.
constexpr long kLandlockCreateRuleset = 444, kLandlockAddRule = 445, kLandlockRestrictSelf = 446;

// Of kernels that are newer than some headers: to move into other directories (Linux 5.19), to
// truncate files that are there (6.2), to control devices (6.10).
constexpr std::uint64_t kLandlockRefer = std::uint64_t{1} << 13,
                        kLandlockTruncate = std::uint64_t{1} << 14,
                        kLandlockControlDevice = std::uint64_t{1} << 15;

// To make, write and remove directories, regular files and symbolic links.
constexpr std::uint64_t kLandlockChangeTree =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM |
    kLandlockRefer | kLandlockTruncate;

struct AllowedTree {
  int directory;         // or a file, if `access` is for files
  std::uint64_t access;  // what may be done below it
};

// From now on nothing can be done with files but this, and what is in `everywhere`; no TCP, no
// signal to and no abstract socket of other processes, as far as the kernel has that. What is open
// stays open. For good. REQUIRES: no_new_privs is set.
Result<> RestrictFiles(const std::vector<AllowedTree>& trees, std::uint64_t everywhere = 0);

// Whether the kernel has it, and this program uses it.
bool HasLandlock();

}  // namespace haft
