// Keys and signatures as OpenSSH makes them, without OpenSSH.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace haft::testing {

class TestKey {
 public:
  // The same for the same seed. `application`: of a hardware key; "": an ordinary one.
  explicit TestKey(std::uint8_t seed, std::string application = "");

  std::string blob() const;
  // "ssh-ed25519 AAAA...".
  std::string line() const;
  // A signature without armour.
  std::string Sign(std::string_view message, std::string_view purpose = "haft",
                   std::string_view hash = "sha512") const;

 private:
  std::string type() const;

  std::string secret_;
  std::string point_;
  std::string application_;
};

}  // namespace haft::testing
