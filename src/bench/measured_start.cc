#include "haft/bench/measured_start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/base/interruption.h"
#include "haft/base/process.h"
#include "haft/base/process_fd.h"
#include "haft/base/subprocess.h"

namespace haft::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxOutput = 64u << 10;
constexpr auto kPatience = std::chrono::seconds(10);
constexpr auto kInterruptedPatience = std::chrono::milliseconds(500);
constexpr auto kHelpersPatience = std::chrono::seconds(3);  // once nobody but they are left

double Milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

double CpuMilliseconds(const rusage& usage) {
  auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double PeakMegabytes(const rusage& usage) {
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

// Standard input is empty; both outputs go to `output`.
Result<pid_t> Spawn(const std::vector<std::string>& argv,
                    const std::vector<std::string>& environment, int output) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  pid_t pid = -1;
  int error = ::posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, Pointers(argv).data(),
                            Pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Failure(Error::FromErrno(Quoted(argv[0]), error));
  return pid;
}

// What it prints is not the program's output: erofsfuse greets.
Result<> RunHelper(const std::vector<std::string>& argv, const StartCommand& command,
                   Sample& sample) {
  UniqueFd nowhere = TRY(OpenFile("/dev/null", O_WRONLY));
  pid_t pid = TRY(Spawn(argv, command.environment, nowhere.get()));
  int status = 0;
  rusage usage = {};
  while (::wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  sample.helper_cpu_ms += CpuMilliseconds(usage);
  if (status != 0)
    return Failure(
        Error(ErrorKind::kSystem, fmt::format("{}: {}", Quoted(argv[0]), DescribeStatus(status))));
  return {};
}

// A child begins with this process's peak as its own (the kernel keeps it through exec): make that
// what is in use now.
void ForgetOwnPeak() {
  auto file = OpenFile("/proc/self/clear_refs", O_WRONLY);
  if (file) static_cast<void>(WriteAll(file->get(), AsBytes("5\n")).has_value());
}

// Helpers of haft, which tidy up once the others are gone, only if `all`.
void KillChildren(bool all) {
  std::ifstream children(fmt::format("/proc/self/task/{}/children", ::getpid()));
  for (pid_t pid; children >> pid;) {
    const auto name = ReadWholeFile(fmt::format("/proc/{}/comm", pid), 64);
    if (all || !name || !name->starts_with("haft-")) ::kill(pid, SIGKILL);
  }
}

// Waits for every process there still is; false: some had to be killed.
bool WaitForHelpers(Sample& sample) {
  auto deadline = Clock::now() + kPatience;
  int killed = 0;
  while (true) {
    rusage usage = {};
    int status = 0;
    pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
    if (pid < 0 && errno == ECHILD) return killed == 0;
    if (pid > 0) {
      sample.helper_cpu_ms += CpuMilliseconds(usage);
      sample.helper_peak_mb += PeakMegabytes(usage);
      continue;
    }
    const auto now = Clock::now();
    if (Interruption::Signal() != 0 && killed == 0)
      deadline = std::min(deadline, now + kInterruptedPatience);
    if (now > deadline) {
      KillChildren(killed++ > 0);
      deadline = now + kHelpersPatience;
    }
    Sleep(std::chrono::microseconds(500));
  }
}

struct Program {
  pid_t pid;
  Clock::time_point begun;
  UniqueFd process;
};

// Waits for all of them, in the order in which they end. An interruption kills them, and only them:
// their mounts belong to others.
Result<> WaitForPrograms(std::vector<Program> programs, Sample& sample) {
  const auto count = static_cast<double>(programs.size());
  int interruption = Interruption::Descriptor();
  while (!programs.empty()) {
    std::vector<pollfd> waits = {{.fd = interruption, .events = POLLIN, .revents = 0}};
    for (const Program& program : programs)
      waits.push_back({.fd = program.process.get(), .events = POLLIN, .revents = 0});
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return Failure(Error::FromErrno("poll"));
    }
    const auto now = Clock::now();
    if (waits[0].revents != 0) {
      for (const Program& program : programs) ::kill(program.pid, SIGKILL);
      interruption = -1;
    }
    std::erase_if(programs, [&](const Program& program) {
      rusage usage = {};
      int status = 0;
      if (::wait4(program.pid, &status, WNOHANG, &usage) != program.pid) return false;
      sample.wall_ms += Milliseconds(now - program.begun) / count;
      sample.cpu_ms += CpuMilliseconds(usage) / count;
      sample.peak_mb = std::max(sample.peak_mb, PeakMegabytes(usage));
      if (status != 0) sample.status = status;
      return true;
    });
  }
  return {};
}

Result<> RunPrograms(const StartCommand& command, unsigned parallel, int output, Sample& sample) {
  auto began = Clock::now();
  for (const auto& argv : command.before) TRY(RunHelper(argv, command, sample));
  double mounting = Milliseconds(Clock::now() - began);
  std::vector<Program> begun;
  std::optional<Error> failed;
  for (unsigned i = 0; i < parallel && !failed; ++i) {
    auto now = Clock::now();
    auto pid = Spawn(command.argv, command.environment, output);
    if (pid) {
      begun.push_back({.pid = *pid, .begun = now, .process = OpenProcess(*pid)});
      if (!begun.back().process) failed = Error::FromErrno("pidfd_open");
    } else {
      failed = std::move(pid).error();
    }
  }
  TRY(WaitForPrograms(std::move(begun), sample));
  sample.wall_ms += mounting;
  if (failed) return Failure(*failed);
  return {};
}

// Runs all of the commands, whatever becomes of the ones before.
Result<> Undo(const StartCommand& command) {
  Result<> done;
  for (const auto& argv : command.after) {
    Sample ignored;
    auto undone = RunHelper(argv, command, ignored);
    if (done && !undone) done = std::move(undone);
  }
  return done;
}

}  // namespace

Result<Sample> MeasureStart(const StartCommand& command, unsigned parallel, bool keep_output) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return Failure(Error::FromErrno("adopt orphans"));
  if (!command.forget.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(command.forget, ignored);
  }
  UniqueFd output;
  if (keep_output) {
    output = UniqueFd(::memfd_create("output", MFD_CLOEXEC));
    if (!output) return Failure(Error::FromErrno("memfd_create"));
  } else {
    output = TRY(OpenFile("/dev/null", O_WRONLY));
  }
  ForgetOwnPeak();
  Sample sample;
  auto done = RunPrograms(command, parallel, output.get(), sample);
  // Also after a failure, so that nothing stays mounted.
  auto undone = Undo(command);
  bool ended = WaitForHelpers(sample);
  // What the program had left behind was in the way, or ctrl-C met the command as well.
  if (!undone) undone = Undo(command);
  if (done && !undone) done = std::move(undone);
  if (!done) return Failure(std::move(done).error());
  if (!ended) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("{}: leaves processes running, which were killed",
                                     Quoted(command.argv[0])))
                       .Remedy("measure with arguments that make it end"));
  }
  sample.helper_peak_mb /= parallel;
  sample.helper_cpu_ms /= parallel;
  if (keep_output) {
    sample.output.resize(kMaxOutput);
    sample.output.resize(
        TRY(ReadUpTo(output.get(), std::as_writable_bytes(std::span(sample.output)), 0)));
  }
  return sample;
}

Result<> DropPageCache() {
  ::sync();
  UniqueFd file = TRY(OpenFile("/proc/sys/vm/drop_caches", O_WRONLY));
  return WriteAll(file.get(), AsBytes("3\n"));
}

}  // namespace haft::bench
