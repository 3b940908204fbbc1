#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "haft/base/path.h"
#include "haft/base/step_clock.h"
#include "haft/fuse/server_options.h"
#include "haft/image/image_reader.h"
#include "haft/mount/mount_settings.h"

namespace haft {

// What a mode works with.
struct MountRequest {
  const ImageReader& reader;
  const std::string&
      mount_point;  // where it should appear; the last component is the bundle's name
  Mode mode;
  bool asked_for;                   // by HAFT_MODE
  std::string_view failed_before;   // why the modes above failed, for people; "" if none was tried
  pid_t program;                    // the process that will run it
  const std::string& program_path;  // of what it will run
  const MountSettings& settings;
  const StepClock& clock;

  std::string name() const { return std::string(BaseName(mount_point)); }
};

// For a server whose mount is at `path`.
ServerOptions ServerOptionsFor(const MountRequest& request, const std::string& path);

}  // namespace haft
