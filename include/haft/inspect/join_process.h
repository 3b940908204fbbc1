#pragma once

#include <sys/types.h>

#include <string>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"

namespace haft {

// A process of a running bundle, as the kernel shows it. What the process says of itself, in its
// environment, decides nothing.
struct JoinTarget {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  bool other_user = false;  // than this process's
  std::string mount;        // where its bundle's files are, in its namespace
  UniqueFd user_namespace;  // none if it is ours
  UniqueFd mount_namespace;
};

// Looks at process `pid`. Refused (with the reason) are one that has the rights of several users,
// one of another user unless this is root, one whose mount namespace a third user can change, and
// one that is of no bundle: that sees neither a mount of a bundle of its user or of root, nor has,
// if it is of this user, the files that were unpacked for one.
Result<JoinTarget> FindJoinTarget(pid_t pid);

// Makes this process see what the target sees. The working directory stays the same path where that
// exists. For a target of another user this process then is that user, with no supplementary
// groups, no keyring of root's, no way to get rights back, "/" as working directory, and no
// descriptor but its standard streams. After a failure it may be half of that, and should end.
// REQUIRES: one thread.
Result<> JoinProcess(const JoinTarget& target);

}  // namespace haft
