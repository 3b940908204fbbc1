// Tests that change what a process is in: its mounts, its root, its user. Each runs in a child that
// has mounts of its own, so nothing of it reaches the test program or the host.
#pragma once

#include <functional>
#include <string>

namespace haft::testing {

// A test that needs root with CAP_SYS_ADMIN is skipped where there is none:
//   if (!MayMount()) GTEST_SKIP() << kNeedsRoot;
bool MayMount();
inline constexpr const char* kNeedsRoot = "needs root that may mount";

// Runs `body`, which may use EXPECT and ASSERT, in such a child; what it has expected in vain is a
// failure of this test. Its mounts are shared like those of a host under systemd: a namespace made
// in there is another one's peer until it says otherwise.
void InOwnNamespace(const std::function<void()>& body);

// For the body: from now on the child is an ordinary user, whose /proc/self it may write.
void BecomeOrdinary();
inline constexpr unsigned kOrdinaryUser = 1729;

// Where this process is, as text: mount and user namespace, root and working directory. Equal texts
// mean the same place.
std::string Place();
// Whether something is mounted there, as this process sees it.
bool IsMountPoint(const std::string& path);

}  // namespace haft::testing
