#include "haft/trust/ssh_signature.h"

#include <fmt/format.h>
#include <sodium/crypto_hash_sha512.h>
#include <sodium/crypto_sign_ed25519.h>

#include <algorithm>

#include "haft/base/file_io.h"
#include "haft/base/text.h"
#include "haft/format/digest.h"
#include "wire.h"

namespace haft::trust {
namespace {

constexpr std::string_view kMagic = "SSHSIG";
constexpr std::uint32_t kVersion = 1;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Sha256(std::string_view text) {
  const format::Digest digest = format::Sha256Of(AsBytes(text));
  return {digest.begin(), digest.end()};
}

std::string Sha512(std::string_view text) {
  std::array<unsigned char, crypto_hash_sha512_BYTES> digest;
  crypto_hash_sha512(digest.data(), Bytes(text), text.size());
  return {digest.begin(), digest.end()};
}

}  // namespace

Result<PublicKey> ParsePublicKey(std::string_view blob) {
  WireReader reader(blob);
  const std::string_view type = reader.String();
  if (reader.good() && type != kEd25519 && type != kHardwareEd25519) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("key of type {}, which haft cannot check", Quoted(type)))
                       .Remedy("use one of type ed25519"));
  }
  const std::string_view point = reader.String();
  PublicKey key{.blob = std::string(blob), .point = {}, .application = ""};
  const bool hardware = type == kHardwareEd25519;
  if (hardware) key.application = reader.String();
  if (!reader.at_end() || point.size() != key.point.size() || hardware == key.application.empty()) {
    return Failure(Error::Corrupt("key is damaged"));
  }
  std::ranges::copy(point, key.point.begin());
  return key;
}

std::string Fingerprint(const PublicKey& key) {
  std::string text = EncodeBase64(Sha256(key.blob));
  text.erase(text.find_last_not_of('=') + 1);
  return "SHA256:" + text;
}

Result<SshSignature> ParseSignature(std::string_view blob) {
  const auto damaged = [] { return Failure(Error::Corrupt("signature is damaged")); };
  WireReader reader(blob);
  if (reader.Take(kMagic.size()) != kMagic) return damaged();
  if (const std::uint32_t version = reader.Number(); reader.good() && version != kVersion) {
    return Failure(
        Error(ErrorKind::kUnsupported,
              fmt::format("signature of version {}, which haft does not know", version)));
  }
  const std::string_view key = reader.String();
  SshSignature signature = {};
  signature.purpose = reader.String();
  signature.reserved = reader.String();
  signature.hash = reader.String();
  WireReader inner(reader.String());
  if (!reader.at_end() || signature.purpose.empty()) return damaged();
  signature.key = TRY(ParsePublicKey(key));
  if (signature.hash != "sha256" && signature.hash != "sha512") {
    return Failure(Error(
        ErrorKind::kUnsupported,
        fmt::format("signature with hash {}, which haft does not know", Quoted(signature.hash))));
  }
  const std::string_view type = inner.String();
  const std::string_view bytes = inner.String();
  const bool hardware = type == kHardwareEd25519;
  if (hardware) {
    signature.flags = inner.Byte();
    signature.counter = inner.Number();
  }
  if (!inner.at_end() || bytes.size() != signature.signature.size() ||
      type != WireReader(key).String()) {
    return damaged();
  }
  std::ranges::copy(bytes, signature.signature.begin());
  return signature;
}

Result<std::string> RemoveArmour(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN SSH SIGNATURE-----";
  constexpr std::string_view kEnd = "-----END SSH SIGNATURE-----";
  const std::string_view trimmed = Trim(text);
  if (trimmed.size() >= kBegin.size() + kEnd.size() && trimmed.starts_with(kBegin) &&
      trimmed.ends_with(kEnd)) {
    std::string digits;
    for (const std::string_view word :
         Words(trimmed.substr(kBegin.size(), trimmed.size() - kBegin.size() - kEnd.size()))) {
      digits += word;
    }
    if (auto blob = DecodeBase64(digits); blob && !blob->empty()) return *std::move(blob);
  }
  return Failure(Error::Invalid("not a signature of ssh-keygen -Y sign"));
}

bool IsSignatureOf(const SshSignature& signature, std::string_view message) {
  std::string data(kMagic);
  AppendString(data, signature.purpose);
  AppendString(data, signature.reserved);
  AppendString(data, signature.hash);
  AppendString(data, signature.hash == "sha256" ? Sha256(message) : Sha512(message));
  if (!signature.key.application.empty()) {
    std::string outer = Sha256(signature.key.application);
    outer += static_cast<char>(signature.flags);
    AppendNumber(outer, signature.counter);
    data = outer + Sha256(data);
  }
  return crypto_sign_ed25519_verify_detached(signature.signature.data(), Bytes(data), data.size(),
                                             signature.key.point.data()) == 0;
}

}  // namespace haft::trust
