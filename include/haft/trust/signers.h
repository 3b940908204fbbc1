// Who may sign: the files allowed_signers and revoked_keys, in the form of ssh-keygen(1).
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/trust/ssh_signature.h"

namespace haft::trust {

// A line of allowed_signers.
struct AllowedKey {
  PublicKey key;
  std::string principals;        // patterns of those whose key it is, separated by commas
  std::string namespaces = "*";  // patterns of what it may sign
  // Seconds since 1970: when its signatures count.
  std::int64_t valid_after = std::numeric_limits<std::int64_t>::min();
  std::int64_t valid_before = std::numeric_limits<std::int64_t>::max();
};

struct Signers {
  std::vector<AllowedKey> allowed;
  std::vector<PublicKey> revoked;

  void Add(Signers more);
};

// Lines of "PRINCIPALS [OPTIONS] KEY". `file` is what errors call it: "FILE:LINE: WHY". Keys of
// types that haft cannot check are passed over. Errors: whatever else it does not understand, and
// the option cert-authority: a line that somebody relies on is never dropped in silence. Dates
// without Z are UTC too.
Result<std::vector<AllowedKey>> ParseAllowedSigners(std::string_view text, std::string_view file);

// Lines with a public key each. A binary revocation list (KRL) is refused.
Result<std::vector<PublicKey>> ParseRevokedKeys(std::string_view text, std::string_view file);

// Patterns as of ssh_config(5): "*", "?", and "!" before one that must not match. Some pattern has
// to match.
bool MatchesPatterns(std::string_view name, std::string_view patterns);

// What a signature has to be.
struct Demand {
  // Names, one of which has to be a principal of the key; empty: whoever is allowed.
  std::span<const std::string> signers;
  std::int64_t now;  // seconds since 1970
};

struct Signed {
  std::string principals;
  PublicKey key;
};

// The first of `signatures` (ReadSignatures()) that is one of `message` by an allowed key. The
// error is that of the one which came nearest, and differs: not signed, unknown key, wrong bytes,
// expired, not valid yet, revoked, another signer, another namespace.
Result<Signed> FindSigner(std::span<const std::string> signatures, std::string_view message,
                          const Signers& signers, const Demand& demand);

}  // namespace haft::trust
