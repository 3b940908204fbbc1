#include "haft/base/variables.h"

#include <stdlib.h>

namespace haft {

std::optional<std::string> GetVariable(const char* name) {
  const char* value = ::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace haft
