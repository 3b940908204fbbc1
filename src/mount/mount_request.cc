#include "mount_request.h"

#include <time.h>
#include <unistd.h>

namespace haft {

ServerOptions ServerOptionsFor(const MountRequest& request, const std::string& path) {
  ServerOptions options{.uid = ::geteuid(), .gid = ::getegid()};
  // Programs started as root drop their rights and go on reading; in a user namespace there is
  // nobody else.
  options.allow_other =
      request.mode == Mode::kNamespace || (options.uid == 0 && request.mode == Mode::kFusermount);
  options.private_mount = request.mode == Mode::kNamespace || request.mode == Mode::kUserns;
  options.prefetch = request.settings.prefetch;
  options.program_path = request.program_path;
  options.bundle = {.name = request.name(),
                    .mode = std::string(ModeName(request.mode)),
                    .mount = path,
                    .program = request.program,
                    .started = ::time(nullptr)};
  return options;
}

}  // namespace haft
