#include "haft/trust/policy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "haft/base/directory.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/safe_path.h"
#include "haft/base/variables.h"
#include "haft/format/digest.h"
#include "haft/format/json.h"
#include "haft/format/signature_area.h"

namespace haft::trust {
namespace {

constexpr std::size_t kMaxFileSize = 1u << 20;

// What a policy.json says.
struct Policy {
  std::string source;  // what asks for a signature, in messages
  bool required = false;
  std::optional<std::vector<std::string>> signers;  // who is enough; nullopt: any allowed one
};

// nullopt: there is no such file. For a user who cannot look there is none either: his HOME, which
// says where, may be anybody's. Root's is asked for by all.
Result<std::optional<std::string>> ReadIfThere(const std::string& path, TrustedOwners owners) {
  struct stat status;
  if (::lstat(path.c_str(), &status) < 0 &&
      (errno == ENOENT ||
       (owners != TrustedOwners::kRoot && (errno == EACCES || errno == ENOTDIR)))) {
    return std::nullopt;
  }
  const SafePath file = TRY(OpenSafeFile(path, O_RDONLY, owners));
  std::string text(TRY(FileSize(file.fd.get())), '\0');
  if (text.size() > kMaxFileSize)
    return Failure(Error::Invalid(fmt::format("{}: too large", Quoted(path))));
  text.resize(TRY(ReadUpTo(file.fd.get(), std::as_writable_bytes(std::span(text)), 0)));
  return text;
}

Result<Policy> ParsePolicy(std::string_view text, const std::string& path) {
  const std::string what = Quoted(path);
  std::string unknown;
  const auto known = [&](std::string_view member) {
    if (member != "require" && member != "signers") unknown = member;
    return true;
  };
  const auto json = TRY(format::ParseJsonObject(text, what, {.values = 1u << 16, .wanted = known}));
  const auto invalid = [&](std::string_view why) {
    return Failure(Error::Invalid(fmt::format("{}: {}", what, why)));
  };
  if (!unknown.empty()) return invalid(Quoted(unknown) + ": not understood");
  Policy policy;
  const auto require = json.find("require");
  const std::string* word =
      require == json.end() ? nullptr : require->get_ptr<const std::string*>();
  if (word == nullptr || (*word != "always" && *word != "never"))
    return invalid("'require' is neither \"always\" nor \"never\"");
  policy.required = *word == "always";
  const auto signers = json.find("signers");
  if (signers == json.end()) return policy;
  const std::string_view no_texts = "'signers' is not an array of texts";
  if (!signers->is_array()) return invalid(no_texts);
  policy.signers.emplace();
  for (const nlohmann::json& signer : *signers) {
    const auto* name = signer.get_ptr<const std::string*>();
    if (name == nullptr) return invalid(no_texts);
    policy.signers->push_back(*name);
  }
  return policy;
}

Result<Policy> ReadPolicy(const std::string& directory, TrustedOwners owners) {
  const std::string path = JoinPath(directory, "policy.json");
  const auto text = TRY(ReadIfThere(path, owners));
  if (!text) return Policy{};
  Policy policy = TRY(ParsePolicy(*text, path));
  policy.source = path;
  return policy;
}

// Names that package managers and editors leave behind are none of a configuration file.
bool IsConfigurationName(std::string_view name) {
  return !name.starts_with('.') && !name.ends_with('~') && !name.contains(".dpkg-") &&
         !name.contains(".ucf-");
}

// The file, and the files of the directory "NAME.d".
Result<> AddAllowedSigners(const std::string& directory, TrustedOwners owners,
                           std::vector<AllowedKey>& allowed) {
  std::vector<std::string> paths = {JoinPath(directory, "allowed_signers")};
  const std::string more = paths[0] + ".d";
  struct stat status;
  if (::lstat(more.c_str(), &status) == 0 || errno != ENOENT) {
    const SafePath place = TRY(OpenSafeDirectory(more, owners));
    for (const std::string& name : NamesIn(place.fd.get())) {
      if (IsConfigurationName(name)) paths.push_back(JoinPath(more, name));
    }
  }
  for (const std::string& path : paths) {
    const auto text = TRY(ReadIfThere(path, owners));
    if (!text) continue;
    for (AllowedKey& key : TRY(ParseAllowedSigners(*text, path))) allowed.push_back(std::move(key));
  }
  return {};
}

Result<> CheckSigned(int fd, const format::BundleFile& bundle, const Signers& signers,
                     const Policy& policy) {
  const auto refused = [&](const Error& error) {
    return Failure(Error(error.kind(),
                         fmt::format("{} ({} asks for a signature)", error.cause(), policy.source))
                       .Remedy(error.remedy()));
  };
  std::span<const std::string> wanted;
  if (policy.signers) wanted = *policy.signers;
  if (policy.signers && wanted.empty())
    return refused(Error(ErrorKind::kUnsupported, "no signer is allowed"));
  const auto signatures = TRY(format::ReadSignatures(fd, bundle));
  const auto found = FindSigner(signatures, format::RootMessage(bundle.trailer.root), signers,
                                {.signers = wanted, .now = ::time(nullptr)});
  if (!found) return refused(found.error());
  return {};
}

}  // namespace

Result<Signers> ReadSigners(const std::string& directory, bool root_only) {
  const TrustedOwners owners = root_only ? TrustedOwners::kRoot : TrustedOwners::kRootAndSelf;
  Signers signers;
  TRY(AddAllowedSigners(directory, owners, signers.allowed));
  const std::string path = JoinPath(directory, "revoked_keys");
  if (const auto text = TRY(ReadIfThere(path, owners)))
    signers.revoked = TRY(ParseRevokedKeys(*text, path));
  return signers;
}

Result<std::string> ReadSignersFile(const std::string& path) {
  return ReadWholeFile(path, kMaxFileSize);
}

Result<> CheckPolicy(int fd, const format::BundleFile& bundle, const PolicyPlaces& places) {
  const Policy system = TRY(ReadPolicy(places.system, TrustedOwners::kRoot));
  Policy user;
  if (!places.user.empty()) user = TRY(ReadPolicy(places.user, TrustedOwners::kRootAndSelf));
  if (places.required && !user.required) user.source = variables::kRequireSignature;
  user.required |= places.required;
  if (!system.required && !user.required) return {};

  // Whom the user trusts counts for what he asks for, never for what root asks for.
  Signers signers = TRY(ReadSigners(places.system, true));
  if (system.required) TRY(CheckSigned(fd, bundle, signers, system));
  if (!user.required) return {};
  if (!places.user.empty()) signers.Add(TRY(ReadSigners(places.user, false)));
  return CheckSigned(fd, bundle, signers, user);
}

}  // namespace haft::trust
