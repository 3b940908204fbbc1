#pragma once

#include <cstdint>
#include <string_view>

#include "haft/base/error.h"
#include "haft/format/layout.h"

namespace haft {

// "inode 7: FIELD is impossible", for row 6.
Error BadInode(std::uint32_t row, std::string_view field);

// Checks a record on its own, not against its relatives.
Result<> CheckInode(std::uint32_t row, const format::Inode& record, const format::Trailer& trailer);

}  // namespace haft
