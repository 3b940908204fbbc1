#pragma once

#include <string_view>

namespace haft {

// A file that is part of haft itself, put into the program when it is built (tools/embed.py).
struct EmbeddedFile {
  std::string_view name;
  std::string_view bytes;
};

}  // namespace haft
