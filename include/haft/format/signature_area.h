// The room for signatures of the root, before the trailer. What a signature is, only
// trust/ssh_signature.h knows.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/bundle_file.h"

namespace haft::format {

// The signatures in the area, in their order. kCorrupt for anything but records and then zeros.
Result<std::vector<std::string>> ParseSignatureArea(std::span<const std::byte> area);

// An area with these signatures. kInvalidInput if they do not fit.
Result<std::string> MakeSignatureArea(std::span<const std::string> signatures);

Result<std::vector<std::string>> ReadSignatures(int fd, const BundleFile& bundle);

}  // namespace haft::format
