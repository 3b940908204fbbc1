// Reading JSON that others wrote: in an image, an archive, a server's statistics.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>

#include "haft/base/error.h"
#include "haft/format/limits.h"

namespace haft::format {

struct JsonLimits {
  int depth = kMaxJsonDepth;
  // Elements, members and what holds them: each takes some 50 bytes, however short it is written.
  std::size_t values = 1u << 20;
  // Which members of the outermost object are kept; empty: all of them.
  std::function<bool(std::string_view member)> wanted = {};
};

// Time and memory in proportion to the text, whatever it says; ends at the first value beyond a
// limit. A member that occurs twice is the last one. kCorrupt: "WHAT: not JSON", "WHAT: nested too
// deeply", "WHAT: too many values".
Result<nlohmann::json> ParseJson(std::string_view text, std::string_view what,
                                 const JsonLimits& limits = {});
// The same, which must be an object: "WHAT: not a JSON object".
Result<nlohmann::json> ParseJsonObject(std::string_view text, std::string_view what,
                                       const JsonLimits& limits = {});

}  // namespace haft::format
