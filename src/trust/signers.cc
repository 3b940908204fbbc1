#include "haft/trust/signers.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "haft/base/text.h"

namespace haft::trust {
namespace {

// One pattern with "*" and "?": in time proportional to the product of the sizes.
bool MatchesPattern(std::string_view name, std::string_view pattern) {
  std::size_t at = 0, next = 0;
  std::optional<std::size_t> star;  // behind the last "*"
  std::size_t star_at = 0;          // what that one has taken
  while (at < name.size()) {
    if (next < pattern.size() && pattern[next] == '*') {
      star = ++next;
      star_at = at;
    } else if (next < pattern.size() && (pattern[next] == '?' || pattern[next] == name[at])) {
      ++next;
      ++at;
    } else if (star) {
      next = *star;
      at = ++star_at;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', next) == pattern.npos;
}

// How near a signature came to being accepted, and why it was not.
struct Verdict {
  enum Nearness {
    kUnreadable,
    kOtherNamespace,
    kUnknownKey,
    kOtherSigner,
    kTime,
    kWrong,
    kRevoked
  };
  Nearness nearness;
  Error error;
};

Error Refused(std::string why) {
  return {ErrorKind::kUnsupported, std::move(why)};
}

// Whether a line of allowed_signers with the right key is enough. nullopt: it is.
std::optional<Verdict> Judge(const AllowedKey& line, const Demand& demand) {
  const std::string who = Quoted(line.principals);
  const auto wanted = [&](const std::string& name) {
    return MatchesPatterns(name, line.principals);
  };
  if (!demand.signers.empty() && std::ranges::none_of(demand.signers, wanted)) {
    const std::vector<std::string_view> names(demand.signers.begin(), demand.signers.end());
    return Verdict{Verdict::kOtherSigner,
                   Refused(fmt::format("signed by {}, not by {}", who, Listed(names)))};
  }
  if (demand.now < line.valid_after) {
    return Verdict{Verdict::kTime,
                   Refused(fmt::format("signed by {}, whose key is not valid yet", who))};
  }
  if (demand.now > line.valid_before) {
    return Verdict{Verdict::kTime, Refused(fmt::format("signed by {}, whose key has expired", who))
                                       .Remedy("have it signed with a newer key")};
  }
  return std::nullopt;
}

// The line that allows it.
std::expected<const AllowedKey*, Verdict> Check(const SshSignature& signature,
                                                std::string_view message, const Signers& signers,
                                                const Demand& demand) {
  const std::string fingerprint = Fingerprint(signature.key);
  const auto verdict = [](Verdict::Nearness nearness, Error error) {
    return std::unexpected(Verdict{nearness, std::move(error)});
  };
  if (signature.purpose != kNamespace) {
    return verdict(Verdict::kOtherNamespace,
                   Refused(fmt::format("signed for namespace {}, not for {}",
                                       Quoted(signature.purpose), kNamespace)));
  }
  const auto fits = [&](const AllowedKey& line) {
    return line.key == signature.key && MatchesPatterns(kNamespace, line.namespaces);
  };
  const bool known = std::ranges::any_of(signers.allowed, fits);
  const bool revoked = std::ranges::find(signers.revoked, signature.key) != signers.revoked.end();
  if (!known && !revoked) {
    return verdict(Verdict::kUnknownKey,
                   Refused(fmt::format("signed with an unknown key, {}", fingerprint))
                       .Remedy("add it to allowed_signers if you trust it"));
  }
  if (!IsSignatureOf(signature, message)) {
    return verdict(Verdict::kWrong,
                   Refused(fmt::format("its signature is wrong, it belongs to other bytes (key {})",
                                       fingerprint))
                       .Remedy("get the file again"));
  }
  if (revoked) {
    return verdict(Verdict::kRevoked,
                   Refused(fmt::format("signed with a revoked key, {}", fingerprint)));
  }
  std::optional<Verdict> nearest;
  for (const AllowedKey& line : signers.allowed) {
    if (!fits(line)) continue;
    std::optional<Verdict> judged = Judge(line, demand);
    if (!judged) return &line;
    if (!nearest || judged->nearness > nearest->nearness) nearest = std::move(judged);
  }
  return std::unexpected(*std::move(nearest));
}

}  // namespace

void Signers::Add(Signers more) {
  for (AllowedKey& key : more.allowed) allowed.push_back(std::move(key));
  for (PublicKey& key : more.revoked) revoked.push_back(std::move(key));
}

bool MatchesPatterns(std::string_view name, std::string_view patterns) {
  bool matches = false;
  for (std::string_view pattern : Split(patterns, ',')) {
    const bool negated = pattern.starts_with('!');
    if (negated) pattern.remove_prefix(1);
    if (!MatchesPattern(name, pattern)) continue;
    if (negated) return false;
    matches = true;
  }
  return matches;
}

Result<Signed> FindSigner(std::span<const std::string> signatures, std::string_view message,
                          const Signers& signers, const Demand& demand) {
  std::optional<Verdict> nearest;
  const auto consider = [&](Verdict verdict) {
    if (!nearest || verdict.nearness > nearest->nearness) nearest = std::move(verdict);
  };
  for (const std::string& blob : signatures) {
    auto signature = ParseSignature(blob);
    if (!signature) {
      consider({Verdict::kUnreadable, std::move(signature).error()});
      continue;
    }
    auto accepted = Check(*signature, message, signers, demand);
    if (accepted)
      return Signed{.principals = (*accepted)->principals, .key = std::move(signature->key)};
    consider(std::move(accepted).error());
  }
  if (nearest) return Failure(std::move(nearest->error));
  return Failure(Refused("not signed").Remedy("sign it with haft sign"));
}

}  // namespace haft::trust
