#include "wire.h"

namespace haft::trust {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string_view WireReader::Take(std::size_t size) {
  good_ = good_ && size <= rest_.size();
  if (!good_) return {};
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

std::uint8_t WireReader::Byte() {
  const std::string_view byte = Take(1);
  return byte.empty() ? 0 : static_cast<std::uint8_t>(byte[0]);
}

std::uint32_t WireReader::Number() {
  std::uint32_t number = 0;
  for (const char byte : Take(sizeof number))
    number = number << 8 | static_cast<std::uint8_t>(byte);
  return number;
}

std::string_view WireReader::String() {
  return Take(Number());
}

void AppendNumber(std::string& bytes, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
}

void AppendString(std::string& bytes, std::string_view text) {
  AppendNumber(bytes, static_cast<std::uint32_t>(text.size()));
  bytes += text;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string bytes;
  std::uint32_t value = 0;
  int bits = 0;
  for (const char character : text) {
    const std::size_t digit = kDigits.find(character);
    if (digit == kDigits.npos) return std::nullopt;
    value = value << 6 | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(value >> bits);
    value &= (1u << bits) - 1;
  }
  if (value != 0) return std::nullopt;
  return bytes;
}

std::string EncodeBase64(std::string_view bytes) {
  std::string text;
  std::uint32_t value = 0;
  int bits = 0;
  for (const char byte : bytes) {
    value = value << 8 | static_cast<std::uint8_t>(byte);
    for (bits += 8; bits >= 6; bits -= 6) text += kDigits[value >> (bits - 6) & 63];
    value &= (1u << bits) - 1;
  }
  if (bits > 0) text += kDigits[value << (6 - bits) & 63];
  text.resize((text.size() + 3) / 4 * 4, '=');
  return text;
}

}  // namespace haft::trust
