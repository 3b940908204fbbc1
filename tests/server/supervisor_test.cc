#include "supervisor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "fuse/fuse_request.h"
#include "haft/base/file_io.h"
#include "haft/base/unique_fd.h"
#include "haft/server/sandbox.h"
#include "image/snapshot.h"
#include "support/expect.h"

namespace haft {
namespace {

using testing::OpenReader;
using testing::SampleImage;

constexpr std::uint32_t kHasResend2 = 1u << 7;
constexpr std::uint64_t kResent = std::uint64_t{1} << 63;
constexpr std::int32_t kNotifyResend = 7;

template <typename Condition>
bool WaitUntil(Condition condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

std::string ProcFile(pid_t process, std::string_view name) {
  return ReadWholeFile(fmt::format("/proc/{}/{}", process, name), 4096).value_or("");
}

// A supervisor in a child. Its device is one end of a socket: the test is the kernel at the other.
class SupervisorTest : public ::testing::Test {
 protected:
  ~SupervisorTest() override {
    kernel_.Reset();  // unmounted: all end
    if (supervisor_ > 0) {
      EXPECT_EQ(WaitForSupervisor(), 0);
    }
  }

  void Start(bool can_resend) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    kernel_ = UniqueFd(ends[0]);
    timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(kernel_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    int few = 4096;  // answers that nobody takes
    ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &few, sizeof few);
    supervisor_ = ::fork();
    if (supervisor_ == 0) {
      kernel_.Reset();
      rlimit no_core = {};
      ::setrlimit(RLIMIT_CORE, &no_core);
      auto server = FuseServer::Create(OpenReader(SampleImage(1)), {.uid = 0, .gid = 0});
      if (!server || !server->Attach(UniqueFd(ends[1]))) ::_exit(1);
      GiveUpPrivileges();
      ConfineSupervisor(server->device());
      RunSupervisor(*std::move(server), {});
    }
    ::close(ends[1]);
    fuse_init_in init = {};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = FUSE_KERNEL_MINOR_VERSION;
    init.flags = FUSE_ASYNC_READ | FUSE_INIT_EXT;
    init.flags2 = can_resend ? kHasResend2 : 0;
    Ask(FUSE_INIT, 2, init);
    EXPECT_EQ(Answer().unique, 2u);
  }

  template <typename Body>
  void Ask(std::uint32_t opcode, std::uint64_t unique, const Body& body) {
    std::vector<char> bytes = FuseRequest(opcode, unique, body);
    EXPECT_EQ(::send(kernel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  void AskAttributes(std::uint64_t unique) { Ask(FUSE_GETATTR, unique, fuse_getattr_in{}); }

  // The head of what the server or the supervisor writes next; all 0 if the device is closed.
  fuse_out_header Answer() {
    char bytes[65536];
    fuse_out_header header = {};
    ssize_t size = ::recv(kernel_.get(), bytes, sizeof bytes, 0);
    EXPECT_TRUE(size == 0 || size >= static_cast<ssize_t>(sizeof header)) << size << " " << errno;
    if (size >= static_cast<ssize_t>(sizeof header)) std::memcpy(&header, bytes, sizeof header);
    return header;
  }

  static bool Ended(pid_t process) {
    std::string status = ProcFile(process, "stat");
    return status.empty() || status.contains(") Z");
  }

  // The living one; -1 if there is none within five seconds.
  pid_t Server() {
    pid_t server = -1;
    WaitUntil([&] {
      server =
          std::atoi(ProcFile(supervisor_, fmt::format("task/{}/children", supervisor_)).c_str());
      return server > 0 && ProcFile(server, "comm") == "haft-server\n" && !Ended(server);
    });
    return server > 0 ? server : -1;
  }

  void ExpectResend() {
    fuse_out_header notification = Answer();
    EXPECT_EQ(notification.error, kNotifyResend);
    EXPECT_EQ(notification.unique, 0u);
  }

  void ExpectAnswer(std::uint64_t unique, int error = 0) {
    fuse_out_header answer = Answer();
    EXPECT_EQ(answer.unique, unique);
    EXPECT_EQ(answer.error, -error);
  }

  // Kills it and sees it replaced.
  void Replace(int signal) {
    pid_t server = Server();
    ASSERT_GT(server, 0);
    ::kill(server, signal);
    ExpectResend();
  }

  bool SleepsIn(pid_t process, long call) {
    return ProcFile(process, "stat").contains(") S ") &&
           ProcFile(process, "syscall").starts_with(fmt::format("{} ", call));
  }

  // Asks until an answer does not fit any more; its number. The server is working on it.
  std::uint64_t AskUntilAnAnswerIsStuck(std::uint64_t unique) {
    pid_t server = Server();
    for (int i = 0; i < 1000; ++i, unique += 2) {
      AskAttributes(unique);
      int queued = 1;
      EXPECT_TRUE(
          WaitUntil([&] { return ::ioctl(kernel_.get(), SIOCOUTQ, &queued) == 0 && queued == 0; }));
      EXPECT_TRUE(
          WaitUntil([&] { return SleepsIn(server, SYS_read) || SleepsIn(server, SYS_writev); }));
      if (SleepsIn(server, SYS_writev)) return unique;
    }
    return 0;
  }

  int WaitForSupervisor() {
    int status = -1;
    ::waitpid(std::exchange(supervisor_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  UniqueFd kernel_;
  pid_t supervisor_ = -1;
};

TEST_F(SupervisorTest, EndsWithTheFileSystem) {
  Start(true);
  AskAttributes(4);
  ExpectAnswer(4);
  kernel_.Reset();
  EXPECT_EQ(WaitForSupervisor(), 0);
}

TEST_F(SupervisorTest, ReplacesAServerAndLetsTheKernelAskAgain) {
  Start(true);
  pid_t first = Server();
  Replace(SIGABRT);
  EXPECT_NE(Server(), first);
  AskAttributes(4 | kResent);
  ExpectAnswer(4 | kResent);
}

TEST_F(SupervisorTest, GivesUpIfTheKernelCannotAskAgain) {
  Start(false);
  ::kill(Server(), SIGKILL);
  EXPECT_EQ(WaitForSupervisor(), 0);
  EXPECT_EQ(Answer().len, 0u) << "the device is closed";
}

TEST_F(SupervisorTest, GivesUpAtTheSixthCrashInTenSeconds) {
  Start(true);
  for (int crash = 0; crash < 5; ++crash) Replace(SIGABRT);
  ::kill(Server(), SIGABRT);
  EXPECT_EQ(WaitForSupervisor(), 0);
}

TEST_F(SupervisorTest, KillsFromOutsideAreNoCrashes) {
  Start(true);
  for (int kill = 0; kill < 12; ++kill) Replace(SIGKILL);
  AskAttributes(4);
  ExpectAnswer(4);
}

TEST_F(SupervisorTest, RefusesARequestThatWasBeingAnsweredAtTwoCrashes) {
  Start(true);
  std::uint64_t stuck = AskUntilAnAnswerIsStuck(4);
  ASSERT_GT(stuck, 4u);
  auto crash = [&](std::uint64_t first, std::uint64_t end) {
    pid_t server = Server();
    ::kill(server, SIGABRT);
    ASSERT_TRUE(WaitUntil([&] { return Ended(server); }));  // before there is room for its answer
    for (std::uint64_t unique = first; unique < end; unique += 2) ExpectAnswer(unique);
    ExpectResend();
  };
  crash(4, stuck);
  // As many others, so that this one is stuck again.
  for (std::uint64_t unique = 1004; unique < 1000 + stuck; unique += 2) AskAttributes(unique);
  pid_t server = Server();
  AskAttributes(stuck | kResent);
  ASSERT_TRUE(WaitUntil([&] { return SleepsIn(server, SYS_writev); }));
  crash(1004, 1000 + stuck);
  AskAttributes(stuck | kResent);
  ExpectAnswer(stuck | kResent, EIO);
  AskAttributes(3000);
  ExpectAnswer(3000);
}

}  // namespace
}  // namespace haft
