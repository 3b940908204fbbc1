#include "haft/base/utf8.h"

#include <fmt/format.h>

#include <algorithm>

namespace haft {
namespace {

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

std::size_t Utf8CharacterSize(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xF0 && lead <= 0xF4  ? 4
                           : lead >= 0xE0 && lead < 0xF0 ? 3
                           : lead >= 0xC2 && lead < 0xE0 ? 2
                                                         : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;   // overlong
  if (lead == 0xED && byte(1) >= 0xA0) return 0;  // surrogate
  if (lead == 0xF0 && byte(1) < 0x90) return 0;   // overlong
  if (lead == 0xF4 && byte(1) >= 0x90) return 0;  // beyond U+10FFFF
  return size;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = Utf8CharacterSize(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

namespace {

// Whether a character steers the terminal, or changes how what is around it reads.
bool Steers(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  switch (character.size()) {
    case 1:
      return byte(0) < 0x20 || byte(0) == 0x7F;
    case 2:
      return (byte(0) == 0xC2 && byte(1) < 0xA0) || character == "\u061C";  // C1 controls
    case 3:
      // U+200B…F, U+2028…E, U+2060…F, U+FEFF: direction, line ends, and what has no width.
      return (byte(0) == 0xE2 && byte(1) == 0x80 &&
              ((byte(2) >= 0x8B && byte(2) <= 0x8F) || (byte(2) >= 0xA8 && byte(2) <= 0xAE))) ||
             (byte(0) == 0xE2 && byte(1) == 0x81 && byte(2) >= 0xA0 && byte(2) <= 0xAF) ||
             character == "\uFEFF";
    default:
      return false;
  }
}

}  // namespace

std::string Shown(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = Utf8CharacterSize(text);
    const std::string_view character = text.substr(0, size == 0 ? 1 : size);
    if (size != 0 && !Steers(character)) {
      out += character;
    } else {
      for (char c : character) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    text.remove_prefix(character.size());
  }
  return out;
}

std::string_view Utf8Prefix(std::string_view text, std::size_t most) {
  std::size_t size = std::min(most, text.size());
  for (int i = 0; i < 3 && size > 0 && size < text.size() && IsContinuation(text[size]); ++i)
    --size;
  return text.substr(0, size);
}

std::string_view Utf8Suffix(std::string_view text, std::size_t most) {
  std::size_t begin = text.size() - std::min(most, text.size());
  for (int i = 0; i < 3 && begin > 0 && begin < text.size() && IsContinuation(text[begin]); ++i)
    ++begin;
  return text.substr(begin);
}

}  // namespace haft
