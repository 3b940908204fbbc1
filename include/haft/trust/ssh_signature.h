// Signatures as `ssh-keygen -Y sign` makes them (OpenSSH's PROTOCOL.sshsig), of the keys that haft
// can check.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "haft/base/error.h"

namespace haft::trust {

// What a signature of a root is for: ssh-keygen -n. One made for something else is none of a root.
inline constexpr std::string_view kNamespace = "haft";

// Ed25519, of a file or an agent, or of a hardware key (FIDO), which signs for an application.
inline constexpr std::string_view kEd25519 = "ssh-ed25519";
inline constexpr std::string_view kHardwareEd25519 = "sk-ssh-ed25519@openssh.com";

struct PublicKey {
  std::string blob;  // all of it, as OpenSSH stores it; two keys are the same if this is
  std::array<unsigned char, 32> point;
  std::string application;  // of a hardware key only

  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.blob == b.blob; }
};

// kUnsupported for keys of another type, which is named.
Result<PublicKey> ParsePublicKey(std::string_view blob);

// "SHA256:...", as ssh-keygen -l prints it.
std::string Fingerprint(const PublicKey& key);

struct SshSignature {
  PublicKey key;
  std::string purpose;  // its namespace
  std::string reserved;
  std::string hash;  // of the message: "sha256" or "sha512"
  std::array<unsigned char, 64> signature;
  // What a hardware key adds.
  std::uint8_t flags = 0;
  std::uint32_t counter = 0;
};

// The bytes without armour. kCorrupt, or kUnsupported for what this haft does not know.
Result<SshSignature> ParseSignature(std::string_view blob);

// The bytes in "-----BEGIN SSH SIGNATURE-----", which must be all that is in `text`.
Result<std::string> RemoveArmour(std::string_view text);

// Whether the key has signed exactly these bytes, for that purpose.
bool IsSignatureOf(const SshSignature& signature, std::string_view message);

}  // namespace haft::trust
