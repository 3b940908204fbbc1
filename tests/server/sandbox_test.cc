#include "haft/server/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "haft/base/file_io.h"
#include "haft/base/syscall_filter.h"

namespace haft {
namespace {

constexpr int kKilled = 1000 + SIGSYS;

// The exit status of a child that does this, or 1000 and the signal that ended it.
int StatusOf(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    rlimit no_core = {};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// 0, or the errno of a call that returned -1.
int ErrorOf(long result) {
  return result == -1 ? errno : 0;
}

// A decoder that somebody else steers.
class ServerSandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const bool has_filter = StatusOf([] {
                              ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                              return SyscallFilter(Harmless()).Install() ? 0 : 1;
                            }) == 0;
    if (!has_filter) GTEST_SKIP() << "no seccomp, or a sanitizer";
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reading_ = UniqueFd(ends[0]);
    device_ = UniqueFd(ends[1]);
  }

  static SyscallFilter Harmless() {
    SyscallFilter filter;
    filter.Allow({SYS_exit_group});
    return filter;
  }

  int Confined(const std::function<int()>& body) {
    return StatusOf([&] {
      GiveUpPrivileges();
      ConfineServer(device_.get());
      return body();
    });
  }

  UniqueFd reading_, device_;
};

TEST_F(ServerSandboxTest, Serves) {
  EXPECT_EQ(Confined([&] {
              if (::write(device_.get(), "x", 1) != 1) return 1;
              std::string text(8 << 20, 'a');  // mapped
              text.resize(64 << 20);           // mremap
              int sum = 0;
              {
                std::jthread one([&] { sum += 1; });
                std::vector<std::jthread> more;
                for (int i = 0; i < 3; ++i)
                  more.emplace_back([] { std::free(std::malloc(1 << 20)); });
              }
              try {
                throw std::bad_alloc();
              } catch (const std::bad_alloc&) {
                sum += 1;
              }
              errno = EINVAL;
              std::perror("haft sandbox test");
              return sum == 2 && text.back() == 0 ? 0 : 1;
            }),
            0);
}

TEST_F(ServerSandboxTest, AbortsAsEverybody) {
  EXPECT_EQ(Confined([] {
              std::abort();
              return 0;
            }),
            1000 + SIGABRT);
}

TEST_F(ServerSandboxTest, OpensNothing) {
  for (const char* path : {"/etc/passwd", "/proc/self/maps", "/proc/self/mem", "/"}) {
    EXPECT_EQ(Confined([&] { return ErrorOf(::open(path, O_RDONLY)); }), EACCES) << path;
  }
  EXPECT_EQ(Confined([] { return ErrorOf(::open("/tmp/haft-made", O_RDWR | O_CREAT, 0600)); }),
            EACCES);
  struct stat status;
  EXPECT_EQ(Confined([&] { return ErrorOf(::stat("/etc/passwd", &status)); }), EACCES);
}

TEST_F(ServerSandboxTest, WritesToItsDeviceOnly) {
  const UniqueFd other(::open("/dev/null", O_RDWR));
  EXPECT_EQ(Confined([&] { return ErrorOf(::write(other.get(), "x", 1)); }), kKilled);
  EXPECT_EQ(Confined([&] { return ErrorOf(::pwrite(other.get(), "x", 1, 0)); }), kKilled);
  char byte;
  EXPECT_EQ(Confined([&] { return ErrorOf(::read(other.get(), &byte, 1)); }), kKilled);
}

TEST_F(ServerSandboxTest, ExecutesNothing) {
  char program[] = "/bin/true";
  char* const arguments[] = {program, nullptr};
  EXPECT_EQ(Confined([&] { return ErrorOf(::execv(program, arguments)); }), kKilled);
  EXPECT_EQ(Confined([&] { return ErrorOf(::fexecve(reading_.get(), arguments, environ)); }),
            kKilled);
}

TEST_F(ServerSandboxTest, MakesNoMachineCode) {
  constexpr int kAll = PROT_READ | PROT_WRITE | PROT_EXEC;
  EXPECT_EQ(Confined([&] {
              return ErrorOf(reinterpret_cast<long>(
                  ::mmap(nullptr, 4096, kAll, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
            }),
            kKilled);
  EXPECT_EQ(Confined([&] {
              void* page =
                  ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return page == MAP_FAILED ? 1 : ErrorOf(::mprotect(page, 4096, PROT_EXEC));
            }),
            kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::memfd_create("code", 0)); }), kKilled);
}

TEST_F(ServerSandboxTest, StartsNoProcess) {
  EXPECT_EQ(Confined([] { return ErrorOf(::fork()); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::vfork()); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::syscall(SYS_clone3, nullptr, 0)); }), ENOSYS);
  EXPECT_EQ(Confined([] {
              return ErrorOf(::syscall(
                  SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER, 0, 0, 0, 0));
            }),
            kKilled);
}

TEST_F(ServerSandboxTest, ReachesNobody) {
  EXPECT_EQ(Confined([] { return ErrorOf(::socket(AF_INET, SOCK_STREAM, 0)); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::socket(AF_UNIX, SOCK_STREAM, 0)); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0)); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::kill(::getppid(), 0)); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0)); }),
            kKilled);
  iovec part = {};
  EXPECT_EQ(Confined([&] {
              return ErrorOf(::syscall(SYS_process_vm_readv, ::getppid(), &part, 1, &part, 1, 0));
            }),
            kKilled);
}

TEST_F(ServerSandboxTest, LosesNothingOfItAgain) {
  EXPECT_EQ(Confined([] { return ErrorOf(::setuid(0)); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::unshare(CLONE_NEWUSER)); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::prctl(PR_SET_DUMPABLE, 1)); }), EPERM);
  EXPECT_EQ(Confined([] { return ErrorOf(::syscall(SYS_io_uring_setup, 1, nullptr)); }), kKilled);
  EXPECT_EQ(Confined([] { return ErrorOf(::syscall(SYS_bpf, 0, nullptr, 0)); }), kKilled);
}

TEST_F(ServerSandboxTest, RefusesCallsOfOtherTables) {
#ifdef __x86_64__
  EXPECT_EQ(Confined([] { return ErrorOf(::syscall(0x40000000 + SYS_getpid)); }), kKilled);
  EXPECT_EQ(Confined([] {
              int result = 20;  // getpid of the 32-bit table
              asm volatile("int $0x80" : "+a"(result)::"memory");
              return result > 0 ? 0 : 1;
            }),
            kKilled);
#endif
  EXPECT_EQ(Confined([] { return ErrorOf(::syscall(600)); }), ENOSYS) << "newer than we are";
  EXPECT_EQ(Confined([] { return ErrorOf(::syscall(-1)); }), ENOSYS);
}

TEST_F(ServerSandboxTest, WithoutTheFilterCapabilitiesDoNotComeBack) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(StatusOf([] {
              GiveUpPrivileges();
              char shell[] = "/bin/sh", option[] = "-c",
                   script[] = "grep -q '^CapEff:.*[1-9a-f]$' /proc/self/status";
              char* const arguments[] = {shell, option, script, nullptr};
              return ErrorOf(::execv(shell, arguments));
            }),
            1);
}

// What Landlock alone takes, should a list of ours have a hole.
TEST_F(ServerSandboxTest, PrefetchReadsBelowItsDirectoryOnly) {
  const UniqueFd root(::open("/usr/bin", O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto opens = [&](const char* path, int flags) {
    return StatusOf([&] {
      GiveUpPrivileges();
      ConfinePrefetchImage(root.get());
      return ErrorOf(::openat(root.get(), path, flags));
    });
  };
  EXPECT_EQ(opens("env", O_RDONLY), 0);
  EXPECT_EQ(opens("env", O_RDWR), EACCES);
  EXPECT_EQ(opens(".", O_RDONLY | O_DIRECTORY), 0);
  EXPECT_EQ(opens("new", O_RDONLY | O_CREAT), EACCES);
  const long landlock = ::syscall(444, nullptr, 0, 1);
  if (landlock < 0) GTEST_SKIP() << "no Landlock";
  EXPECT_EQ(opens("../../etc/passwd", O_RDONLY), EACCES);
  EXPECT_EQ(opens("/etc/passwd", O_RDONLY), EACCES);
}

class InspectionSandboxTest : public ServerSandboxTest {
 public:
  void SetUp() override {
    ServerSandboxTest::SetUp();
    char name[] = "/tmp/haft-sandbox-test-XXXXXX";
    directory_ = ::mkdtemp(name);
    ASSERT_FALSE(directory_.empty());
  }
  void TearDown() override {
    if (!directory_.empty()) static_cast<void>(::rmdir(directory_.c_str()));
  }

  int Showing(const std::function<int()>& body) {
    return StatusOf([&] {
      ConfineInspection();
      return body();
    });
  }
  int Extracting(const std::function<int()>& body) {
    return StatusOf([&] {
      const UniqueFd parent(::open(directory_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      ConfineExtraction(parent.get());
      return body();
    });
  }

  std::string directory_;
};

TEST_F(InspectionSandboxTest, WritesToWhatIsOpenAndOpensNothing) {
  EXPECT_EQ(Showing([&] { return ErrorOf(::write(device_.get(), "x", 1)); }), 0);
  EXPECT_EQ(Showing([&] {
              std::thread([] {}).join();
              return ErrorOf(::ftruncate(::memfd_create("index", MFD_CLOEXEC), 4096));
            }),
            0);
  EXPECT_EQ(Showing([] { return ErrorOf(::open("/etc/passwd", O_RDONLY)); }), EACCES);
  EXPECT_EQ(Showing([] { return ErrorOf(::open("/tmp/haft-made", O_RDWR | O_CREAT, 0600)); }),
            EACCES);
}

TEST_F(InspectionSandboxTest, StartsAndReachesNobody) {
  char program[] = "/bin/true";
  char* const arguments[] = {program, nullptr};
  using Confine = int (InspectionSandboxTest::*)(const std::function<int()>&);
  for (Confine confined : {&InspectionSandboxTest::Showing, &InspectionSandboxTest::Extracting}) {
    auto ends = [&](const std::function<int()>& body) { return (this->*confined)(body); };
    EXPECT_EQ(ends([&] { return ErrorOf(::execv(program, arguments)); }), kKilled);
    EXPECT_EQ(ends([] { return ErrorOf(::fork()); }), kKilled);
    EXPECT_EQ(ends([] { return ErrorOf(::socket(AF_UNIX, SOCK_STREAM, 0)); }), kKilled);
    EXPECT_EQ(ends([] { return ErrorOf(::kill(::getppid(), 0)); }), kKilled);
    EXPECT_EQ(ends([] { return ErrorOf(::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0)); }), kKilled);
    EXPECT_EQ(ends([] {
                return ErrorOf(reinterpret_cast<long>(::mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                                                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
              }),
              kKilled);
    EXPECT_EQ(ends([] { return ErrorOf(::ioctl(0, TIOCSTI, "x")); }), ENOTTY);
    EXPECT_EQ(ends([] { return ::raise(SIGTERM); }), 1000 + SIGTERM) << "ends itself";
  }
}

TEST_F(InspectionSandboxTest, ExtractsBelowTheParentOnly) {
  auto makes = [&](const std::string& path) {
    return Extracting([&] {
      const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (!file) return errno;
      return ErrorOf(::unlink(path.c_str()));
    });
  };
  EXPECT_EQ(makes(directory_ + "/made"), 0);
  if (::syscall(444, nullptr, 0, 1) < 0) GTEST_SKIP() << "no Landlock";
  EXPECT_EQ(makes("/tmp/haft-sandbox-made"), EACCES);
  EXPECT_EQ(makes(directory_ + "/../haft-sandbox-made"), EACCES);
}

TEST(SyscallFilterTest, FindsEachOfManyCalls) {
  for (long first : {0L, 1L}) {
    SyscallFilter filter;
    for (long call = first; call < 440; call += 2) filter.Allow({call});
    const std::vector<sock_filter> program = filter.Compile();
    auto run = [&](std::uint32_t call) {  // as the kernel does
      std::uint32_t accumulator = 0;
      for (std::size_t at = 3;; ++at) {
        const sock_filter& step = program.at(at);
        switch (BPF_CLASS(step.code)) {
          case BPF_RET:
            return step.k;
          case BPF_JMP: {
            const bool yes = BPF_OP(step.code) == BPF_JA    ? true
                             : BPF_OP(step.code) == BPF_JEQ ? accumulator == step.k
                             : BPF_OP(step.code) == BPF_JGT ? accumulator > step.k
                                                            : accumulator >= step.k;
            at += BPF_OP(step.code) == BPF_JA ? step.k : yes ? step.jt : step.jf;
            break;
          }
          default:
            accumulator = call;
        }
      }
    };
    for (long call = 0; call < 440; ++call) {
      EXPECT_EQ(run(static_cast<std::uint32_t>(call)),
                call % 2 == first % 2 ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS)
          << call;
    }
  }
}

}  // namespace
}  // namespace haft
