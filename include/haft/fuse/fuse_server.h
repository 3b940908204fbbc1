#pragma once

#include <memory>
#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/fuse/server_options.h"
#include "haft/image/image_reader.h"

namespace haft {

struct SharedServerState;

// Serves an image through FUSE. One thread does the work; it hands the descriptor over to another
// only before it waits for the disk, or decodes a block while more requests are queued. Never
// touches a path below its own mount. Runs until the file system is unmounted (by anyone); needs no
// signals and no shutdown call.
class FuseServer {
 public:
  static Result<FuseServer> Create(ImageReader reader, const ServerOptions& options);

  FuseServer(FuseServer&&) noexcept;
  ~FuseServer();

  // Either: use a descriptor that somebody else mounts (before Run()).
  Result<> Attach(UniqueFd device);
  // Or: mount on a directory of the host; as an ordinary user through fusermount3.
  Result<> MountOn(const std::string& directory);

  const ImageReader& image() const;
  const ServerOptions& options() const;

  // The descriptor of /dev/fuse in use. REQUIRES: Attach() or MountOn() succeeded.
  int device() const;

  // Answers the kernel's first request, in which both sides say what they can do; a process forked
  // afterwards can Run() the same server. False: it is unmounted already. Not needed before Run().
  // REQUIRES: mounted.
  Result<bool> Initialize();

  // Whether the kernel can send requests again that a dead server has not answered (Linux 6.9).
  // After Initialize().
  bool can_resend() const;

  // Makes it do so. Fails if the file system is unmounted. REQUIRES: can_resend(), and nobody is
  // serving.
  Result<> Resend();

  // Where to note what Run() is doing, and read which requests to refuse. Not owned.
  void ShareState(SharedServerState* shared);

  // Takes what Run() needs of the system beside memory, threads and time, so that the process that
  // runs it can be confined in between. Not needed before Run().
  void Prepare();

  // Answers requests until the kernel says that the file system is unmounted. Looks at the image
  // for the first time.
  Result<> Run();

 private:
  struct Impl;
  explicit FuseServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace haft
