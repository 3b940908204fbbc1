// What of a user's identity ends at the border of a user namespace in which only his own ids are
// mapped.
#pragma once

#include <string>
#include <string_view>

#include "haft/base/error.h"

namespace haft {

// For people.
inline constexpr std::string_view kLostInUserNamespace =
    "other groups and owners show as nobody; capabilities, the user's keyring and set-user-id "
    "programs have no power";

// What this process, or the program at `program` (an absolute path; it need not be there), would
// visibly lose: "" or "groups 33, 44, capabilities". A group that an outer user namespace has
// already hidden does not count.
std::string LostInUserNamespace(const std::string& program);

// Whether a set-user-id program of root can get root's right to mount: not after NO_NEW_PRIVS,
// without CAP_SYS_ADMIN in the bounding set, where root is not mapped, or on a nosuid mount. Root
// itself needs the capability.
Result<> CheckSetuidPower(const std::string& program);

// Whether this process has CAP_SYS_ADMIN in its user namespace.
bool HasMountCapability();

}  // namespace haft
