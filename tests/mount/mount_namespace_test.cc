#include "mount_namespace.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "haft/base/directory.h"
#include "haft/base/path.h"
#include "haft/base/process.h"
#include "own_namespace.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::BecomeOrdinary;
using testing::Expect;
using testing::InOwnNamespace;
using testing::IsMountPoint;
using testing::kOrdinaryUser;
using testing::Message;
using testing::Place;
using testing::ReadTestFile;
using testing::TempDir;
using testing::WriteTestFile;

class MountNamespaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::MayMount()) GTEST_SKIP() << testing::kNeedsRoot;
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  }

  std::string MakeDirectory(std::string_view name, mode_t mode = 0755) {
    std::string path = dir_ / name;
    EXPECT_EQ(::mkdir(path.c_str(), mode), 0) << path;
    return path;
  }

  TempDir dir_;
};

void MountTmpfs(const std::string& path) {
  ASSERT_EQ(::mount("none", path.c_str(), "tmpfs", 0, "mode=0755"), 0) << path;
}

std::vector<std::string> Names(const std::string& path) {
  std::vector<std::string> names;
  DirectoryStream stream(path);
  EXPECT_TRUE(stream) << path;
  while (const dirent* entry = stream.Next()) names.emplace_back(entry->d_name);
  std::ranges::sort(names);
  return names;
}

std::string WorkingDirectoryName() {
  char* name = ::get_current_dir_name();
  std::string text = name == nullptr ? "" : name;
  ::free(name);
  return text;
}

UniqueFd OwnMounts() {
  return UniqueFd(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
}

// What Build() of private_mount.cc does to the process, without the image.
void EnterPrivateRoot(const std::string& mount_point) {
  std::string directory(DirName(mount_point));
  while (::access(directory.c_str(), F_OK) != 0) directory = DirName(directory);
  CarrierMount carrier = Expect(CarrierMount::Find(directory));
  ASSERT_EQ(Message(EnterMountNamespace()), "");
  ASSERT_EQ(Message(CoverDirectory(directory, mount_point, carrier)), "");
}

using EnterMountNamespaceTest = MountNamespaceTest;

TEST_F(EnterMountNamespaceTest, MountsOfTheHostArriveAndOursLeave) {
  std::string ours = MakeDirectory("ours"), later = MakeDirectory("later");
  InOwnNamespace([&] {
    UniqueFd host = OwnMounts();
    ASSERT_EQ(Message(EnterMountNamespace()), "");
    UniqueFd own = OwnMounts();
    MountTmpfs(ours);
    ASSERT_EQ(::setns(host.get(), CLONE_NEWNS), 0);
    EXPECT_TRUE(IsMountPoint(ours));
    MountTmpfs(later);
    ASSERT_EQ(::setns(own.get(), CLONE_NEWNS), 0);
    EXPECT_TRUE(IsMountPoint(ours));
    EXPECT_TRUE(IsMountPoint(later));
  });
}

TEST_F(EnterMountNamespaceTest, SaysWhichRightItLacks) {
  InOwnNamespace([] {
    BecomeOrdinary();
    std::string before = Place();
    std::string message = Message(EnterMountNamespace());
    EXPECT_NE(message.find("mount namespace"), message.npos) << message;
    EXPECT_NE(message.find("it needs CAP_SYS_ADMIN"), message.npos) << message;
    EXPECT_EQ(Place(), before);
  });
}

using EnterUserNamespaceTest = MountNamespaceTest;

TEST_F(EnterUserNamespaceTest, KeepsTheIdsAndGivesTheRightToMount) {
  std::string place = MakeDirectory("place", 0777);
  InOwnNamespace([&] {
    BecomeOrdinary();
    auto entered = EnterUserNamespace();
    if (!entered) GTEST_SKIP() << Message(entered);
    EXPECT_EQ(::getuid(), kOrdinaryUser);
    EXPECT_EQ(::getgid(), kOrdinaryUser);
    ASSERT_EQ(Message(EnterMountNamespace()), "");
    MountTmpfs(place);
    EXPECT_TRUE(IsMountPoint(place));
  });
}

TEST_F(EnterUserNamespaceTest, NamesTheLimitThatIsReached) {
  InOwnNamespace([] {
    if (!EnterUserNamespace()) GTEST_SKIP();
    UniqueFd limit(::open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::write(limit.get(), "0", 1), 1);
    EXPECT_EQ(Message(EnterUserNamespace()),
              "user namespace: No space left on device; raise sysctl user.max_user_namespaces");
  });
}

using CoverDirectoryTest = MountNamespaceTest;

TEST_F(CoverDirectoryTest, AddsAnEmptyDirectoryToWhatTheHostHas) {
  InOwnNamespace([&] {
    std::vector<std::string> wanted = Names("/");
    std::string inside = dir_ / "file";
    WriteTestFile(inside, "of the host");
    EnterPrivateRoot("/haft-of-a-test/app");
    wanted.emplace_back("haft-of-a-test");
    std::ranges::sort(wanted);
    EXPECT_EQ(Names("/"), wanted);
    std::vector<std::string> names = Names("/haft-of-a-test/app");
    EXPECT_EQ(names, (std::vector<std::string>{})) << fmt::format("{}", fmt::join(names, " "));
    EXPECT_EQ(ReadTestFile(inside), "of the host");
    EXPECT_EQ(::mkdir("/new", 0755), -1);
    EXPECT_EQ(errno, EROFS);
  });
}

TEST_F(CoverDirectoryTest, KeepsWhatIsBesideAMountPointDeepInTheHostsDirectories) {
  WriteTestFile(dir_ / "beside", "kept");
  std::string mount_point = dir_ / "opt/app";
  InOwnNamespace([&] {
    EnterPrivateRoot(mount_point);
    EXPECT_EQ(ReadTestFile(dir_ / "beside"), "kept");
    EXPECT_EQ(Names(mount_point), std::vector<std::string>());
  });
  EXPECT_NE(::access(mount_point.c_str(), F_OK), 0) << "the host has got it";
}

TEST_F(CoverDirectoryTest, LeavesTheWorkingDirectoryWhereItIs) {
  std::string place = MakeDirectory("work");
  InOwnNamespace([&] {
    for (const std::string& directory : {place, std::string("/"), std::string("/proc")}) {
      ASSERT_EQ(::chdir(directory.c_str()), 0);
      EnterPrivateRoot("/haft-of-a-test/app");
      EXPECT_EQ(WorkingDirectoryName(), directory);
    }
  });
}

TEST_F(CoverDirectoryTest, LeavesADeletedWorkingDirectoryWhereItIs) {
  std::string place = MakeDirectory("work");
  InOwnNamespace([&] {
    ASSERT_EQ(::chdir(place.c_str()), 0);
    ASSERT_EQ(::rmdir(place.c_str()), 0);
    struct stat before = {}, after = {};
    ASSERT_EQ(::stat(".", &before), 0);
    EnterPrivateRoot("/haft-of-a-test/app");
    ASSERT_EQ(::stat(".", &after), 0);
    EXPECT_EQ(after.st_ino, before.st_ino);
  });
}

TEST_F(CoverDirectoryTest, ReproducesEntriesOfEveryKindOfAChroot) {
  std::string root = MakeDirectory("root");
  WriteTestFile(root + "/file", "text");
  WriteTestFile(root + "/odd \\ name\n", "odd");
  ASSERT_EQ(::mkdir((root + "/directory").c_str(), 0700), 0);
  WriteTestFile(root + "/directory/inside", "in");
  ASSERT_EQ(::mkfifo((root + "/fifo").c_str(), 0644), 0);
  ASSERT_EQ(::symlink("nowhere", (root + "/dangling").c_str()), 0);
  ASSERT_EQ(::mkdir((root + "/proc").c_str(), 0755), 0);
  InOwnNamespace([&] {
    ASSERT_EQ(::mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::chroot(root.c_str()), 0);
    ASSERT_EQ(::chdir("/"), 0);
    EnterPrivateRoot("/haft/app");
    EXPECT_EQ(Names("/"), (std::vector<std::string>{"dangling", "directory", "fifo", "file", "haft",
                                                    "odd \\ name\n", "proc"}));
    EXPECT_EQ(ReadTestFile("/file"), "text");
    EXPECT_EQ(ReadTestFile("/odd \\ name\n"), "odd");
    EXPECT_EQ(ReadTestFile("/directory/inside"), "in");
    struct stat status = {};
    ASSERT_EQ(::lstat("/fifo", &status), 0);
    EXPECT_TRUE(S_ISFIFO(status.st_mode));
    ASSERT_EQ(::lstat("/dangling", &status), 0);
    EXPECT_TRUE(S_ISLNK(status.st_mode));
    ASSERT_EQ(::lstat("/directory", &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700u);
  });
}

using SavedNamespaceTest = MountNamespaceTest;

TEST_F(SavedNamespaceTest, BringsTheProcessBackFromAPrivateRoot) {
  std::string place = MakeDirectory("work");
  InOwnNamespace([&] {
    ASSERT_EQ(::chdir(place.c_str()), 0);
    std::string before = Place();
    auto saved = SavedNamespace::Save();
    ASSERT_EQ(Message(saved), "");
    EXPECT_EQ(Place(), before);
    EnterPrivateRoot("/haft-of-a-test/app");
    ASSERT_EQ(::chdir("/haft-of-a-test/app"), 0);
    EXPECT_NE(Place(), before);
    ASSERT_EQ(Message(saved->Return()), "");
    EXPECT_EQ(Place(), before);
    EXPECT_EQ(WorkingDirectoryName(), place);
    EXPECT_NE(::access("/haft-of-a-test", F_OK), 0);
  });
}

TEST_F(SavedNamespaceTest, BringsTheProcessBackFromHalfWay) {
  InOwnNamespace([] {
    std::string before = Place();
    auto saved = SavedNamespace::Save();
    ASSERT_EQ(Message(saved), "");
    ASSERT_EQ(Message(EnterMountNamespace()), "");
    ASSERT_EQ(Message(saved->Return()), "");
    EXPECT_EQ(Place(), before);
    // Again and again, as modes fail.
    EnterPrivateRoot("/haft-of-a-test/app");
    ASSERT_EQ(Message(saved->Return()), "");
    EXPECT_EQ(Place(), before);
  });
}

TEST_F(SavedNamespaceTest, BringsTheProcessBackIntoItsChroot) {
  std::string root = MakeDirectory("root");
  ASSERT_EQ(::mkdir((root + "/proc").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((root + "/work").c_str(), 0755), 0);
  InOwnNamespace([&] {
    ASSERT_EQ(::mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::mount("/proc", (root + "/proc").c_str(), nullptr, MS_BIND | MS_REC, nullptr), 0);
    ASSERT_EQ(::chroot(root.c_str()), 0);
    ASSERT_EQ(::chdir("/work"), 0);
    std::string before = Place();
    auto saved = SavedNamespace::Save();
    ASSERT_EQ(Message(saved), "");
    EXPECT_EQ(Place(), before) << "Save() alone has led out of the chroot";
    EnterPrivateRoot("/haft/app");
    ASSERT_EQ(Message(saved->Return()), "");
    EXPECT_EQ(Place(), before);
    EXPECT_EQ(Names("/"), (std::vector<std::string>{"proc", "work"}));
  });
}

TEST_F(SavedNamespaceTest, IsNotMadeByWhoCouldNotComeBack) {
  InOwnNamespace([] {
    BecomeOrdinary();
    std::string before = Place();
    auto saved = SavedNamespace::Save();
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().sys_errno(), EPERM);
    EXPECT_EQ(Place(), before);
  });
}

TEST_F(SavedNamespaceTest, IsNotMadeWithoutProc) {
  InOwnNamespace([] {
    MountTmpfs("/proc");
    struct stat before = {}, after = {};
    ASSERT_EQ(::stat(".", &before), 0);
    EXPECT_FALSE(SavedNamespace::Save());
    ASSERT_EQ(::stat(".", &after), 0);
    EXPECT_EQ(after.st_ino, before.st_ino);
  });
}

// A process that is in a private root until this ends, or who has made it.
class Builder {
 public:
  explicit Builder(bool user_namespace) {
    auto [ours, theirs] = *SocketPair();
    pid_ = ::fork();
    if (pid_ == 0) {
      ours.Reset();
      auto carrier = CarrierMount::Find("/");
      bool built = (!user_namespace || EnterUserNamespace()) && EnterMountNamespace() &&
                   CoverDirectory("/", "/haft-of-a-test/app", *carrier);
      char end;
      if (built && ::write(theirs.get(), "b", 1) == 1)
        static_cast<void>(::read(theirs.get(), &end, 1) == 0);
      ::_exit(0);
    }
    theirs.Reset();
    char byte;
    built_ = ::read(ours.get(), &byte, 1) == 1;
    channel_ = std::move(ours);
    root_ = UniqueFd(
        ::open(fmt::format("/proc/{}/root", pid_).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ~Builder() { End(); }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  void End() {
    channel_.Reset();
    if (pid_ > 0) WaitFor(std::exchange(pid_, -1));
  }
  pid_t pid() const { return pid_; }
  int root() const { return root_.get(); }
  bool built() const { return built_; }

 private:
  pid_t pid_ = -1;
  bool built_ = false;
  UniqueFd channel_, root_;
};

using JoinNamespacesTest = MountNamespaceTest;

TEST_F(JoinNamespacesTest, OutliveWhoHasMadeThem) {
  std::string place = MakeDirectory("work");
  InOwnNamespace([&] {
    Builder builder(false);
    ASSERT_TRUE(builder.built());
    ASSERT_EQ(::chdir(place.c_str()), 0);
    ASSERT_EQ(Message(JoinNamespaces(builder.pid(), false, builder.root())), "");
    builder.End();
    EXPECT_EQ(Names("/haft-of-a-test/app"), std::vector<std::string>());
    EXPECT_EQ(WorkingDirectoryName(), place);
  });
}

TEST_F(JoinNamespacesTest, TakeAnOrdinaryUserWithThem) {
  InOwnNamespace([] {
    BecomeOrdinary();
    Builder builder(true);
    if (!builder.built()) GTEST_SKIP() << "no user namespaces";
    ASSERT_EQ(Message(JoinNamespaces(builder.pid(), true, builder.root())), "");
    builder.End();
    EXPECT_EQ(Names("/haft-of-a-test/app"), std::vector<std::string>());
    EXPECT_EQ(::getuid(), kOrdinaryUser);
  });
}

TEST_F(JoinNamespacesTest, OfAProcessThatIsGoneChangeNothing) {
  InOwnNamespace([] {
    Builder builder(false);
    ASSERT_TRUE(builder.built());
    pid_t gone = builder.pid();
    builder.End();
    std::string before = Place();
    EXPECT_FALSE(JoinNamespaces(gone, false, builder.root()));
    EXPECT_EQ(Place(), before);
  });
}

TEST_F(JoinNamespacesTest, OfAnotherUserAreRefusedAndChangeNothing) {
  InOwnNamespace([] {
    Builder builder(false);
    ASSERT_TRUE(builder.built());
    BecomeOrdinary();
    std::string before = Place();
    EXPECT_FALSE(JoinNamespaces(builder.pid(), false, builder.root()));
    EXPECT_EQ(Place(), before);
  });
}

using MayEnterWorkingDirectoryTest = MountNamespaceTest;

TEST_F(MayEnterWorkingDirectoryTest, IsFalseOnlyWhereTheUserCouldNotComeBack) {
  std::string open = MakeDirectory("open"), closed = MakeDirectory("closed", 0700);
  InOwnNamespace([&] {
    ASSERT_EQ(::chdir(closed.c_str()), 0);
    EXPECT_TRUE(MayEnterWorkingDirectory()) << "root may";
    BecomeOrdinary();
    EXPECT_FALSE(MayEnterWorkingDirectory());
    ASSERT_EQ(::chdir(open.c_str()), 0);
    EXPECT_TRUE(MayEnterWorkingDirectory());
  });
}

}  // namespace
}  // namespace haft
