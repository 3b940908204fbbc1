#include "haft/base/landlock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "haft/base/log.h"
#include "haft/base/syscall_filter.h"
#include "haft/base/unique_fd.h"

namespace haft {
namespace {

// As in newer headers than may be here.
struct LandlockRuleset {
  std::uint64_t files;
  std::uint64_t network;  // Linux 6.7
  std::uint64_t scopes;   // Linux 6.12
};

// Negative: the kernel has none, or not for this process.
long Version() {
#ifdef HAFT_SANITIZED
  errno = EOPNOTSUPP;  // sanitizers look into /proc
  return -1;
#else
  return ::syscall(kLandlockCreateRuleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
#endif
}

// All that this kernel can take away.
LandlockRuleset EverythingOf(long version) {
  const int files = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
  return {.files = (std::uint64_t{1} << files) - 1,
          .network = version >= 4 ? 3u : 0u,  // to bind and to connect TCP
          .scopes = version >= 6 ? 3u : 0u};  // abstract sockets and signals of others
}

}  // namespace

bool HasLandlock() {
  return Version() > 0;
}

Result<> RestrictFiles(const std::vector<AllowedTree>& trees, std::uint64_t everywhere) {
  const long version = Version();
  if (version < 0) return Failure(Error::FromErrno("landlock"));
  LandlockRuleset taken = EverythingOf(version);
  taken.files &= ~everywhere;
  UniqueFd rules(static_cast<int>(::syscall(kLandlockCreateRuleset, &taken, sizeof taken, 0)));
  if (!rules) return Failure(Error::FromErrno("landlock"));
  for (const AllowedTree& tree : trees) {
    const landlock_path_beneath_attr rule{.allowed_access = tree.access & taken.files,
                                          .parent_fd = tree.directory};
    // One that cannot be named cannot be used.
    if (::syscall(kLandlockAddRule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
      Log(LogLevel::kDebug, "sandbox: {}", Error::FromErrno("landlock").message());
  }
  if (::syscall(kLandlockRestrictSelf, rules.get(), 0) < 0)
    return Failure(Error::FromErrno("landlock"));
  return {};
}

}  // namespace haft
