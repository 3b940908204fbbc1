#include "haft/base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "haft/base/file_io.h"

namespace haft {
namespace {

using std::chrono::milliseconds;

pid_t ForkExiting(int status, milliseconds after = {}) {
  const pid_t child = ::fork();
  if (child == 0) {
    Sleep(after);
    ::_exit(status);
  }
  return child;
}

TEST(WaitForTest, IsTheStatusOfTheChild) {
  const auto status = WaitFor(ForkExiting(3));
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status));
  EXPECT_EQ(WEXITSTATUS(*status), 3);
}

TEST(WaitForTest, GoesOnAfterASignal) {
  struct sigaction action = {}, saved;
  action.sa_handler = [](int) {};  // without SA_RESTART
  ::sigaction(SIGALRM, &action, &saved);
  const itimerval soon = {.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 20'000}};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  EXPECT_EQ(WaitFor(ForkExiting(0, milliseconds(200))), 0);
  ::sigaction(SIGALRM, &saved, nullptr);
}

TEST(WaitForTest, IsNothingIfChildrenAreNotKept) {
  auto saved = ::signal(SIGCHLD, SIG_IGN);
  EXPECT_EQ(WaitFor(ForkExiting(0)), std::nullopt);
  EXPECT_EQ(errno, ECHILD);
  ::signal(SIGCHLD, saved);
}

TEST(SocketPairTest, IsConnectedAndClosedByExec) {
  auto pair = SocketPair();
  ASSERT_TRUE(pair);
  ASSERT_TRUE(WriteAll(pair->first.get(), AsBytes("x")));
  char byte = 0;
  EXPECT_EQ(::read(pair->second.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_EQ(::fcntl(pair->first.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::fcntl(pair->second.get(), F_GETFD), FD_CLOEXEC);
}

TEST(MonotonicNowTest, CountsWhatSleepTakes) {
  const std::uint64_t before = MonotonicNow();
  Sleep(milliseconds(20));
  EXPECT_GE(MonotonicNow() - before, 20'000'000u);
}

TEST(PointersTest, EndWithNull) {
  const std::vector<std::string> strings = {"a", "b"};
  const std::vector<char*> pointers = Pointers(strings);
  ASSERT_EQ(pointers.size(), 3u);
  EXPECT_EQ(pointers[1], strings[1].c_str());
  EXPECT_EQ(pointers[2], nullptr);
}

TEST(DetachProcessTest, KeepsOnlyTheDescriptorsNamed) {
  auto kept = *SocketPair();
  auto closed = *SocketPair();
  const pid_t child = ::fork();
  if (child == 0) {
    DetachProcess("haft-test", {kept.second.get()});
    const bool own_session = ::getsid(0) == ::getpid();
    const bool kept_open = ::fcntl(kept.second.get(), F_GETFD) >= 0;
    const bool others_closed = ::fcntl(kept.first.get(), F_GETFD) < 0 &&
                               ::fcntl(closed.first.get(), F_GETFD) < 0 &&
                               ::fcntl(closed.second.get(), F_GETFD) < 0;
    char directory[8] = {};
    const bool at_root =
        ::getcwd(directory, sizeof directory) != nullptr && std::string_view(directory) == "/";
    ::_exit(own_session && kept_open && others_closed && at_root ? 0 : 1);
  }
  EXPECT_EQ(WaitFor(child), 0);
}

TEST(AllProcessesTest, HasThisOneAndTheFirst) {
  const std::vector<pid_t> all = AllProcesses();
  EXPECT_TRUE(std::ranges::count(all, ::getpid()) == 1);
  EXPECT_TRUE(std::ranges::count(all, pid_t{1}) == 1);
}

}  // namespace
}  // namespace haft
