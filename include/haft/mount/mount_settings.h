#pragma once

#include <string>

#include "haft/mount/mode.h"

namespace haft {

// What the user's environment says about getting at the files of an image.
struct MountSettings {
  AllowedModes modes = {};             // HAFT_MODE
  std::string cache = {};              // HAFT_CACHE; "": none
  bool prefetch = true;                // HAFT_PREFETCH
  bool own_server = false;             // what it does is recorded: the mount is not shared
  std::string temporary = {};          // TMPDIR; "" if it is not set
  std::string runtime_directory = {};  // XDG_RUNTIME_DIR; "" if it is not set
  bool runtime_memory = false;         // a private mount gets MountRuntimeDirectory()
};

}  // namespace haft
