// Which bundles may be started: root's policy, and the user's, which can only ask for more.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/format/bundle_file.h"
#include "haft/trust/signers.h"

namespace haft::trust {

inline constexpr std::string_view kSystemDirectory = "/etc/haft";

// Where policies are: each directory holds policy.json, allowed_signers, allowed_signers.d and
// revoked_keys, of which any may be missing.
struct PolicyPlaces {
  std::string system = std::string(kSystemDirectory);  // of root
  std::string user;                                    // "": none
  // A signature is wanted whatever the files say: HAFT_REQUIRE_SIGNATURE.
  bool required = false;
};

// Nothing if no policy wants a signature of this image, or if it has the right one. Every file is
// opened with OpenSafeFile(): one that others could change, or that is not understood, is an error,
// as are all policies that are not met. Costs one system call for a place without policy.json.
Result<> CheckPolicy(int fd, const format::BundleFile& bundle, const PolicyPlaces& places);

// The allowed signers and revoked keys of a directory that belongs to root (or, unless `root_only`,
// to this user).
Result<Signers> ReadSigners(const std::string& directory, bool root_only);

// A file of allowed signers, or of revoked keys, that a user names.
Result<std::string> ReadSignersFile(const std::string& path);

}  // namespace haft::trust
