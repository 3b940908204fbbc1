#pragma once

#include <sys/types.h>

#include <utility>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/fuse/fuse_server.h"
#include "haft/server/mount_directory.h"

namespace haft {

// The detached processes that serve a mount: a supervisor, and its child, the server, which it
// replaces when it dies. In a session of their own, re-parented to init, with no descriptor but the
// image, /dev/fuse and /dev/null (HAFT_LOG=debug: and standard error), deaf to terminal signals,
// without capabilities. They end when the kernel unmounts, or at once if Begin() is never called.
class ServerProcess {
 public:
  // Forks twice; the server shares `reader` with the caller, who may go on with it. `device` is
  // used by both until the caller has mounted it and closed its copy. The server removes
  // `directory` after the unmount. REQUIRES: the calling process has one thread.
  static Result<ServerProcess> Fork(const ImageReader& reader, const ServerOptions& options,
                                    const UniqueFd& device, const MountDirectory& directory = {});

  // Lets the server read requests, and has what a start needs prefetched. REQUIRES: the
  // descriptor has been mounted, on `mount`. The caller must close its copy of the device soon
  // after.
  Result<> Begin(const std::string& mount);

  ServerProcess(ServerProcess&& other) noexcept
      : child_(std::exchange(other.child_, -1)), go_(std::move(other.go_)) {}
  ServerProcess& operator=(ServerProcess&&) = delete;
  ~ServerProcess();

 private:
  ServerProcess(pid_t child, UniqueFd go) : child_(child), go_(std::move(go)) {}
  // Waits for the first fork; its status, 0 if somebody else has waited.
  int Reap();

  pid_t child_;  // the short-lived first fork; -1: waited for
  UniqueFd go_;  // two descriptors sent (see SupervisedMount): begin; closed: end
};

}  // namespace haft
