#include "user_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <regex>

#include "haft/base/directory.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;
using testing::TempDir;

constexpr uid_t kNobody = 65534;
constexpr const char* kWritable =
    "': others may write to it; run chmod go-w on it, or use another place";

unsigned ModeOf(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

bool Exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// A directory in which users' directories may be.
class UserDirectoryTest : public ::testing::Test {
 protected:
  UserDirectoryTest() {
    ::chmod(dir_.path().c_str(), 0755);
    char* real = ::realpath(dir_.path().c_str(), nullptr);
    real_ = real;
    ::free(real);
  }

  std::string Refused(const std::string& path) { return Message(OpenUserDirectory(path)); }

  TempDir dir_;
  std::string real_;
};

TEST_F(UserDirectoryTest, IsMadeWithItsModeWhateverTheUmask) {
  mode_t saved = ::umask(0777);
  UserDirectory made = Expect(OpenUserDirectory(dir_ / "own"));
  ::umask(saved);
  EXPECT_EQ(made.path, real_ + "/own");
  EXPECT_EQ(ModeOf(made.path), UserDirectoryMode());
  EXPECT_EQ(UserDirectoryMode(), ::geteuid() == 0 ? 0755u : 0700u);
  EXPECT_EQ(Expect(OpenUserDirectory(dir_ / "own")).path, made.path) << "and found again";
}

TEST_F(UserDirectoryTest, HasAPathWithoutLinks) {
  ASSERT_EQ(::mkdir((dir_ / "real").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("real", (dir_ / "link").c_str()), 0);
  EXPECT_EQ(Expect(OpenUserDirectory(dir_ / "link/own")).path, real_ + "/real/own");
}

TEST_F(UserDirectoryTest, RefusesWhatOthersMayHavePlanted) {
  ASSERT_EQ(::mkdir((dir_ / "elsewhere").c_str(), 0755), 0);
  ASSERT_EQ(::symlink("elsewhere", (dir_ / "link").c_str()), 0);
  EXPECT_EQ(Refused(dir_ / "link"), "'" + real_ + "/link': Not a directory");
  testing::WriteTestFile(dir_ / "file", "");
  EXPECT_EQ(Refused(dir_ / "file"), "'" + real_ + "/file': Not a directory");
  ASSERT_EQ(::mkdir((dir_ / "open").c_str(), 0755), 0);
  ASSERT_EQ(::chmod((dir_ / "open").c_str(), 0775), 0);
  EXPECT_EQ(Refused(dir_ / "open"),
            "'" + real_ + "/open': others may use it; chmod " +
                (::geteuid() == 0 ? std::string("755") : std::string("700")) + " it");
  EXPECT_EQ(Refused(dir_ / "no/such"), "'" + (dir_ / "no") + "': No such file or directory");
  EXPECT_EQ(Refused(dir_ / "with space"), "'" + real_ + "/with space': has odd characters");
}

TEST_F(UserDirectoryTest, RefusesAParentInWhichOthersCouldReplaceIt) {
  std::string parent = dir_ / "parent";
  ASSERT_EQ(::mkdir(parent.c_str(), 0755), 0);
  for (unsigned mode : {0777u, 0775u}) {
    ASSERT_EQ(::chmod(parent.c_str(), mode), 0);
    EXPECT_EQ(Refused(parent + "/own"), "'" + real_ + "/parent" + kWritable);
    ASSERT_EQ(::mkdir((parent + "/deeper").c_str(), 0755), 0);
    EXPECT_EQ(Refused(parent + "/deeper/own"), "'" + real_ + "/parent" + kWritable)
        << "the parent's own parent counts as well";
    ASSERT_EQ(::rmdir((parent + "/deeper").c_str()), 0);
    EXPECT_FALSE(Exists(parent + "/own"));
  }
  ASSERT_EQ(::chmod(parent.c_str(), 01777), 0);  // like /tmp
  EXPECT_EQ(Refused(parent + "/own"), "");
}

TEST_F(UserDirectoryTest, RefusesDirectoriesOfOtherUsers) {
  if (::geteuid() != 0) return;  // cannot make one; the end-to-end tests do
  ASSERT_EQ(::mkdir((dir_ / "theirs").c_str(), 0755), 0);
  ASSERT_EQ(::chown((dir_ / "theirs").c_str(), kNobody, kNobody), 0);
  EXPECT_EQ(Refused(dir_ / "theirs"), "'" + real_ + "/theirs': belongs to another user");
  EXPECT_EQ(Refused(dir_ / "theirs/own"),
            "'" + real_ + "/theirs': belongs to user 65534, who could replace what is in it");
}

TEST_F(UserDirectoryTest, NameThatSomebodyElseHasTakenMeansOneBesideIt) {
  const auto path = [&] { return Expect(OpenUserDirectoryOrBeside(dir_ / "own")).path; };
  EXPECT_EQ(path(), real_ + "/own");
  ASSERT_EQ(::rmdir((dir_ / "own").c_str()), 0);
  testing::WriteTestFile(dir_ / "own", "");
  const std::string beside = path();
  EXPECT_TRUE(std::regex_match(beside, std::regex(real_ + "/own-[a-z2-7]{8}"))) << beside;
  EXPECT_EQ(ModeOf(beside), UserDirectoryMode());
  EXPECT_EQ(path(), beside) << "and found again";
  ASSERT_EQ(::rmdir(beside.c_str()), 0);
  ASSERT_EQ(::symlink(".", beside.c_str()), 0);
  EXPECT_NE(path(), beside);
  ASSERT_EQ(::unlink((dir_ / "own").c_str()), 0);
  EXPECT_EQ(path(), real_ + "/own");
  ASSERT_EQ(::chmod((dir_ / "own").c_str(), 0777), 0);
  EXPECT_NE(Message(OpenUserDirectoryOrBeside(dir_ / "own")), "") << "ours, to be mended";
  if (::geteuid() != 0) return;
  ASSERT_EQ(::chmod((dir_ / "own").c_str(), 0755), 0);
  ASSERT_EQ(::chown((dir_ / "own").c_str(), kNobody, kNobody), 0);
  EXPECT_TRUE(path().starts_with(real_ + "/own-"));
}

TEST_F(UserDirectoryTest, OfRootCanBeReachedByOthers) {
  if (::geteuid() != 0) return;  // an ordinary user's is for him alone
  ::chmod(dir_.path().c_str(), 0700);
  EXPECT_EQ(Refused(dir_ / "own"), "'" + real_ + "/own': cannot be reached by other users");
}

TEST_F(UserDirectoryTest, PlacesComeFromTheEnvironmentIfTheyAreNotOdd) {
  MountSettings settings{.temporary = "/scratch//", .runtime_directory = "/run/user/7/"};
  auto as_nobody = [&](auto places) {
    if (::geteuid() != 0) return places(settings);
    EXPECT_EQ(::seteuid(kNobody), 0);
    auto result = places(settings);
    EXPECT_EQ(::seteuid(0), 0);
    return result;
  };
  std::string own = fmt::format("haft-{}", ::geteuid() == 0 ? kNobody : ::geteuid());
  using Places = std::vector<std::string>;
  EXPECT_EQ(as_nobody(MountPointCandidates),
            (Places{"/run/user/7/haft", "/tmp/" + own, "/var/tmp/" + own, "/dev/shm/" + own}));
  EXPECT_EQ(as_nobody(ContentCandidates),
            (Places{"/scratch/" + own, "/tmp/" + own, "/var/tmp/" + own, "/run/user/7/haft",
                    "/dev/shm/" + own}));
  for (const char* odd : {"relative", "", "/with space", "/a/../b", "/quote'", "/new\nline"}) {
    settings = {.temporary = odd, .runtime_directory = odd};
    EXPECT_EQ(as_nobody(MountPointCandidates),
              (Places{"/tmp/" + own, "/var/tmp/" + own, "/dev/shm/" + own}))
        << odd;
    EXPECT_EQ(as_nobody(ContentCandidates),
              (Places{"/tmp/" + own, "/var/tmp/" + own, "/dev/shm/" + own}))
        << odd;
  }
  if (::geteuid() != 0) return;
  settings = {.temporary = "/scratch//", .runtime_directory = "/run/user/7/"};
  EXPECT_EQ(MountPointCandidates(settings),
            (Places{"/run/haft", "/tmp/haft-0", "/var/tmp/haft-0", "/dev/shm/haft-0"}))
      << "root's is not the session's";
  EXPECT_EQ(ContentCandidates(settings),
            (Places{"/scratch/haft-0", "/tmp/haft-0", "/var/tmp/haft-0", "/run/haft",
                    "/dev/shm/haft-0"}));
}

TEST_F(UserDirectoryTest, NewDirectoriesAreLockedAsLongAsTheyAreOpen) {
  UserDirectory parent = Expect(OpenUserDirectory(dir_ / "own"));
  UserDirectory made = Expect(MakeLockedDirectory(parent, "m")),
                other = Expect(MakeLockedDirectory(parent, "m"));
  EXPECT_NE(made.path, other.path);
  EXPECT_TRUE(std::regex_match(made.path, std::regex(parent.path + "/m[a-z2-7]{8}"))) << made.path;
  EXPECT_EQ(ModeOf(made.path), UserDirectoryMode());
  UniqueFd sweeper(::open(made.path.c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(::flock(sweeper.get(), LOCK_EX | LOCK_NB), -1);
  UniqueFd copy(::dup(made.fd.get()));
  made.fd.Reset();
  EXPECT_EQ(::flock(sweeper.get(), LOCK_EX | LOCK_NB), -1) << "a helper has it";
  copy.Reset();
  EXPECT_EQ(::flock(sweeper.get(), LOCK_EX | LOCK_NB), 0);
  std::vector<std::string> names = NamesIn(parent.fd.get());
  EXPECT_EQ(names.size(), 2u);
  EXPECT_EQ(std::ranges::count(names, made.path.substr(made.path.rfind('/') + 1)), 1);
}

TEST_F(UserDirectoryTest, ParentThatVanishesIsTriedAgain) {
  UserDirectory parent = Expect(OpenUserDirectory(dir_ / "own"));
  RemoveIfEmpty(parent);
  EXPECT_FALSE(Exists(parent.path));
  auto made = MakeLockedDirectory(parent, "m");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().sys_errno(), ENOENT);
  int attempts = 0;
  auto found = RetryWhileVanishing([&]() -> Result<UserDirectory> {
    if (++attempts < 3) return MakeLockedDirectory(parent, "m");
    return MakeLockedDirectory(TRY(OpenUserDirectory(dir_ / "own")), "m");
  });
  EXPECT_EQ(Message(found), "");
  EXPECT_EQ(attempts, 3);
  attempts = 0;
  auto forbidden = RetryWhileVanishing([&]() -> Result<> {
    ++attempts;
    return Failure(Error(ErrorKind::kSystem, "no", EACCES));
  });
  EXPECT_FALSE(forbidden.has_value());
  EXPECT_EQ(attempts, 1);
}

TEST_F(UserDirectoryTest, OnlyTheEmptyDirectoryItselfIsRemoved) {
  UserDirectory directory = Expect(OpenUserDirectory(dir_ / "own"));
  testing::WriteTestFile(dir_ / "own/file", "");
  RemoveIfEmpty(directory);
  EXPECT_TRUE(Exists(directory.path));
  ASSERT_EQ(::unlink((dir_ / "own/file").c_str()), 0);
  // Removed and made again by somebody else.
  ASSERT_EQ(::rename((dir_ / "own").c_str(), (dir_ / "moved").c_str()), 0);
  ASSERT_EQ(::mkdir((dir_ / "own").c_str(), 0755), 0);
  RemoveIfEmpty(directory);
  EXPECT_TRUE(Exists(directory.path));
  EXPECT_TRUE(Exists(dir_ / "moved"));
}

}  // namespace
}  // namespace haft
