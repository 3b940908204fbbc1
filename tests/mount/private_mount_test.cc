#include "private_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "haft/base/process.h"
#include "image/snapshot.h"
#include "own_namespace.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::BecomeOrdinary;
using testing::InOwnNamespace;
using testing::IsMountPoint;
using testing::kOrdinaryUser;
using testing::Message;
using testing::OpenReader;
using testing::Place;
using testing::ReadTestFile;
using testing::SampleImage;
using testing::TempDir;

const std::string kMountPoint = "/haft-of-a-test/app";

class PrivateMountTest : public ::testing::Test {
 protected:
  PrivateMountTest() : reader_(OpenReader(SampleImage(3))) {}

  void SetUp() override {
    if (!testing::MayMount()) GTEST_SKIP() << testing::kNeedsRoot;
    if (!UniqueFd(::open("/dev/fuse", O_RDWR | O_CLOEXEC))) GTEST_SKIP() << "needs /dev/fuse";
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  }

  Result<std::string> Mount(Mode mode) {
    MountRequest request{.reader = reader_,
                         .mount_point = kMountPoint,
                         .mode = mode,
                         .asked_for = true,
                         .failed_before = "",
                         .program = ::getpid(),
                         .program_path = program_,
                         .settings = settings_,
                         .clock = clock_};
    return mode == Mode::kUserns ? MountInUserNamespace(request) : MountInMountNamespace(request);
  }

  // A device node that everybody may open, over /dev/fuse; /tmp may be mounted nodev.
  void CoverDevice(unsigned major, unsigned minor) {
    const std::string devices = dir_ / "devices", node = devices + "/node";
    ASSERT_EQ(::mkdir(devices.c_str(), 0755), 0);
    ASSERT_EQ(::mount("none", devices.c_str(), "tmpfs", 0, "mode=0755"), 0);
    ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0666, ::makedev(major, minor)), 0);
    ASSERT_EQ(::chmod(node.c_str(), 0666), 0);
    ASSERT_EQ(::mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr), 0);
  }

  // A root of more links than the tmpfs that covers it has pages: it cannot be reproduced.
  void EnterRootThatIsTooLarge() {
    std::string root = dir_ / "root";
    for (std::string_view name : {"", "/dev", "/proc"})
      ASSERT_EQ(::mkdir((root + std::string(name)).c_str(), 0755), 0);
    const std::string target(3000, 'x');
    for (int i = 0; i < 300; ++i)
      ASSERT_EQ(::symlink(target.c_str(), fmt::format("{}/link{}", root, i).c_str()), 0);
    ASSERT_EQ(::mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr), 0);
    for (const char* name : {"/dev", "/proc"})
      ASSERT_EQ(::mount(name, (root + name).c_str(), nullptr, MS_BIND | MS_REC, nullptr), 0);
    ASSERT_EQ(::chroot(root.c_str()), 0);
    ASSERT_EQ(::chdir("/proc"), 0);
  }

  // The mode fails and leaves the process as it was.
  void ExpectNothingChanged(Mode mode, std::string_view why) {
    std::string before = Place();
    auto mounted = Mount(mode);
    ASSERT_FALSE(mounted) << *mounted;
    EXPECT_NE(mounted.error().message().find(why), std::string::npos) << Message(mounted);
    EXPECT_EQ(Place(), before);
    EXPECT_FALSE(IsMountPoint(kMountPoint));
    EXPECT_NE(::access(kMountPoint.c_str(), F_OK), 0);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
  }

  TempDir dir_;
  ImageReader reader_;
  std::string program_ = "/bin/true";
  MountSettings settings_;
  StepClock clock_;
};

bool HasUserNamespaces() {
  pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
  return WaitFor(child) == 0;
}

TEST_F(PrivateMountTest, ShowsTheFilesOfTheImageToThisProcessAlone) {
  InOwnNamespace([&] {
    CoverDevice(10, 229);
    UniqueFd host(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(Message(Mount(Mode::kNamespace)), "");
    EXPECT_TRUE(IsMountPoint(kMountPoint));
    EXPECT_NE(ReadTestFile(kMountPoint + "/site-packages/one.py"), "");
    ASSERT_EQ(::setns(host.get(), CLONE_NEWNS), 0);
    EXPECT_FALSE(IsMountPoint(kMountPoint));
  });
}

TEST_F(PrivateMountTest, ShowsThemToAnOrdinaryUser) {
  InOwnNamespace([&] {
    CoverDevice(10, 229);
    BecomeOrdinary();
    if (!HasUserNamespaces()) GTEST_SKIP() << "no user namespaces";
    ASSERT_EQ(Message(Mount(Mode::kUserns)), "");
    EXPECT_NE(ReadTestFile(kMountPoint + "/site-packages/one.py"), "");
    EXPECT_EQ(::geteuid(), kOrdinaryUser);
  });
}

TEST_F(PrivateMountTest, WithoutADeviceLeavesTheProcessWhereItWas) {
  InOwnNamespace([&] {
    ASSERT_EQ(::mount("none", "/dev", "tmpfs", 0, nullptr), 0);
    ASSERT_EQ(::chdir(dir_.path().c_str()), 0);
    ExpectNothingChanged(Mode::kNamespace, "/dev/fuse: No such file or directory");
  });
}

TEST_F(PrivateMountTest, FailingAtALateStepBringsTheProcessBack) {
  InOwnNamespace([&] {
    CoverDevice(10, 229);
    EnterRootThatIsTooLarge();
    ExpectNothingChanged(Mode::kNamespace, "No space left on device");
  });
}

TEST_F(PrivateMountTest, FailingInTheUserNamespaceLeavesAnOrdinaryUserWhereItWas) {
  InOwnNamespace([&] {
    CoverDevice(1, 3);  // /dev/null
    ASSERT_EQ(::chdir(dir_.path().c_str()), 0);
    BecomeOrdinary();
    if (!HasUserNamespaces()) GTEST_SKIP() << "no user namespaces";
    ExpectNothingChanged(Mode::kUserns, "/dev/fuse: not the FUSE device");
  });
}

TEST_F(PrivateMountTest, ModeOfRootSaysWhatAnOrdinaryUserLacks) {
  InOwnNamespace([&] {
    BecomeOrdinary();
    EXPECT_EQ(Message(Mount(Mode::kNamespace)),
              "no right to mount (CAP_SYS_ADMIN); start it as root");
  });
}

}  // namespace
}  // namespace haft
