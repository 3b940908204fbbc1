#include "own_namespace.h"

#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "haft/base/process.h"
#include "haft/mount/mount_table.h"

namespace haft::testing {
namespace {

bool EnterOwnNamespace() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) == 0;
}

std::string LinkTarget(const char* path) {
  std::array<char, PATH_MAX> target = {};
  return ::readlink(path, target.data(), target.size() - 1) < 0 ? "?" : target.data();
}

}  // namespace

bool MayMount() {
  if (::geteuid() != 0) return false;
  pid_t child = ::fork();
  if (child == 0) ::_exit(EnterOwnNamespace() ? 0 : 1);
  return WaitFor(child) == 0;
}

void InOwnNamespace(const std::function<void()>& body) {
  std::fflush(nullptr);
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(60);
    if (EnterOwnNamespace()) {
      body();
    } else {
      ADD_FAILURE() << "no mount namespace";
    }
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  EXPECT_EQ(WaitFor(child), 0) << "what failed is told above";
}

void BecomeOrdinary() {
  ASSERT_EQ(::setgroups(0, nullptr), 0);
  ASSERT_EQ(::setresgid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser), 0);
  ASSERT_EQ(::setresuid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser), 0);
  ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 1), 0);
}

std::string Place() {
  struct stat root = {}, cwd = {};
  EXPECT_EQ(::stat("/", &root), 0);
  EXPECT_EQ(::stat(".", &cwd), 0);
  return fmt::format("{} {} root {}:{} in {}:{}", LinkTarget("/proc/self/ns/mnt"),
                     LinkTarget("/proc/self/ns/user"), root.st_dev, root.st_ino, cwd.st_dev,
                     cwd.st_ino);
}

bool IsMountPoint(const std::string& path) {
  for (const MountTableEntry& entry : ReadMountTable("/proc/self/mountinfo")) {
    if (entry.mount_point == path) return true;
  }
  return false;
}

}  // namespace haft::testing
