// libFuzzer target: signatures, the area they are in, allowed_signers and revoked keys. The first
// byte chooses; whatever is accepted can be used, and nothing is ever signed by chance.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "haft/base/file_io.h"
#include "haft/format/signature_area.h"
#include "haft/trust/signers.h"
#include "haft/trust/ssh_signature.h"

namespace haft::trust {
namespace {

constexpr std::string_view kMessage = "haft-root-v1\nsha256:00\n";

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

void UseSignature(std::string_view blob) {
  const auto signature = ParseSignature(blob);
  Require(signature || !signature.error().message().empty(), "errors say something");
  if (!signature) return;
  Require(ParsePublicKey(signature->key.blob).has_value(), "its key is one");
  static_cast<void>(IsSignatureOf(*signature, kMessage));
}

void UseArea(std::string_view text) {
  const auto signatures = format::ParseSignatureArea(AsBytes(text));
  if (!signatures) return;
  std::size_t size = 0;
  for (const std::string& blob : *signatures) {
    size += blob.size();
    UseSignature(blob);
  }
  Require(size <= text.size(), "signatures are in the area");
  static_cast<void>(FindSigner(*signatures, kMessage, {}, {.signers = {}, .now = 0}).has_value());
  const auto area = format::MakeSignatureArea(*signatures);
  if (!area) return;
  Require(*format::ParseSignatureArea(AsBytes(*area)) == *signatures, "an area survives");
}

void UseSigners(std::string_view text) {
  const auto keys = ParseAllowedSigners(text, "F");
  Require(keys || keys.error().message().starts_with("F:"), "errors name the line");
  if (!keys) return;
  for (const AllowedKey& key : *keys) {
    Require(!key.principals.empty(), "somebody has the key");
    static_cast<void>(MatchesPatterns("ops@example.org", key.principals));
    static_cast<void>(MatchesPatterns(kNamespace, key.namespaces));
    Require(Fingerprint(key.key).starts_with("SHA256:"), "keys have fingerprints");
  }
  static_cast<void>(
      FindSigner({}, kMessage, {.allowed = *keys, .revoked = {}}, {.signers = {}, .now = 0})
          .has_value());
}

void Use(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  switch (input[0] & 3) {
    case 0:
      return UseArea(text);
    case 1:
      return UseSigners(text);
    case 2:
      return static_cast<void>(ParseRevokedKeys(text, "F").has_value());
    default: {
      const auto blob = RemoveArmour(text);
      return UseSignature(blob ? *blob : text);
    }
  }
}

}  // namespace
}  // namespace haft::trust

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  haft::trust::Use({reinterpret_cast<const char*>(data), size});
  return 0;
}
