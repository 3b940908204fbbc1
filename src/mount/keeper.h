#pragma once

#include "haft/base/cpu_placement.h"
#include "haft/mount/fuse_server.h"

namespace haft {

// The life of the process between the kernel and the server: it answers the first request, forks the server, and when that
// dies before the file system is unmounted, forks another and lets the kernel send it again what was not answered, so that
// programs notice nothing. It gives up, and programs get ENOTCONN at once, if the kernel cannot do that (before Linux
// 6.9), if servers crash more than 5 times in 10 seconds, or die again and again without answering anything. A request that
// was being answered at two crashes in a row is answered EIO. Kills from outside (SIGKILL) are no crashes.
//
// At first it has a child of its own ask for what the start will need (see WarmUp()); until that is done, all of them stay
// on `cpus`, beside the program. It keeps a private mount until the program's own process ended: freeing the mount's
// page cache is then the keeper's work, and whoever waits for the program need not wait for that.
// REQUIRES: the file system is mounted, `root` is its root directory, or none: then there is no warm-up; this process has one thread.
[[noreturn]] void RunKeeper(FuseServer server, UniqueFd root, const OtherCpus& cpus);

}  // namespace haft
