#pragma once

#include "haft/base/cpu_placement.h"
#include "haft/fuse/fuse_server.h"
#include "haft/server/mount_directory.h"

namespace haft {

struct SupervisedMount {
  UniqueFd root = {};   // its root directory; none: no prefetch
  UniqueFd alive = {};  // as long as this is open, the mount is: its mount namespace, or its root
  OtherCpus cpus = {};  // where the supervisor, the server and the prefetch stay until that is
                        // done, beside the program
  pid_t prefetch_host = -1;       // a child that prefetches the host's files, to be waited for
  MountDirectory directory = {};  // that it is on, to be removed by the server
};

// The life of the process between the kernel and the server: it answers the first request, forks
// the server, and when that dies before the file system is unmounted, forks another and lets the
// kernel send it again what was not answered, so that programs notice nothing. It gives up, and
// programs get ENOTCONN at once, if the kernel cannot do that (before Linux 6.9), if servers crash
// more than 5 times in 10 seconds, or die again and again without answering anything. A request
// that was being answered at two crashes in a row is answered EIO. Kills from outside (SIGKILL) are
// no crashes.
//
// At first it has a child of its own ask for what the start will need (see PrefetchImage()). It
// keeps the private mount of a program until the program's own process ended: freeing the mount's
// page cache is then the supervisor's work, and whoever waits for the program need not wait for
// that. REQUIRES: the file system is mounted; this process has one thread.
[[noreturn]] void RunSupervisor(FuseServer server, SupervisedMount mount);

}  // namespace haft
