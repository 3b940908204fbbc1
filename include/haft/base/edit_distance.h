#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace haft {

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
std::size_t EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to a mistyped word, nullopt if none is near enough to be what was meant.
std::optional<std::string_view> Nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

}  // namespace haft
