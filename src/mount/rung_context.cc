#include "rung_context.h"

#include <time.h>
#include <unistd.h>

namespace haft {

ServerOptions ServerOptionsFor(const RungContext& context, const std::string& path) {
  ServerOptions options{.uid = ::geteuid(), .gid = ::getegid()};
  // Programs started as root drop their rights and go on reading; in a user namespace there is
  // nobody else.
  options.allow_other =
      context.rung == Rung::kNamespace || (options.uid == 0 && context.rung == Rung::kFusermount);
  options.private_mount = context.rung == Rung::kNamespace || context.rung == Rung::kUserns;
  options.program_path = context.program_path;
  options.bundle = {.name = context.name(),
                    .mode = std::string(RungName(context.rung)),
                    .mount = path,
                    .program = context.program,
                    .started = ::time(nullptr)};
  return options;
}

}  // namespace haft
