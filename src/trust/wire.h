// Text and bytes as OpenSSH writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace haft::trust {

// Takes values from the front of bytes; the first that is not there makes all after it fail.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  std::string_view Take(std::size_t size);
  std::uint8_t Byte();
  std::uint32_t Number();     // 4 bytes, the highest first
  std::string_view String();  // its size as Number(), and its bytes

  // Everything was there.
  bool good() const { return good_; }
  // ... and nothing else.
  bool at_end() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

// As WireReader::Number() and String() read them.
void AppendNumber(std::string& bytes, std::uint32_t number);
void AppendString(std::string& bytes, std::string_view text);

// RFC 4648. nullopt for any other character, wrong padding, or bits that mean nothing.
std::optional<std::string> DecodeBase64(std::string_view text);
std::string EncodeBase64(std::string_view bytes);

}  // namespace haft::trust
