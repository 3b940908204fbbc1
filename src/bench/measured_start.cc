#include "haft/bench/measured_start.h"

#include <fcntl.h>
#include <fmt/format.h>
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
#include <map>

#include "haft/base/file_io.h"
#include "haft/base/interruption.h"
#include "haft/base/subprocess.h"

namespace haft::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxOutput = 64u << 10;
constexpr auto kPatience = std::chrono::seconds(10);

double Milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

double CpuMilliseconds(const rusage& usage) {
  auto ms = [](const timeval& time) { return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3; };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double PeakMegabytes(const rusage& usage) { return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6; }

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Standard input is empty; both outputs go to `output`.
Result<pid_t> Spawn(const std::vector<std::string>& argv, const std::vector<std::string>& environment, int output) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  pid_t pid = -1;
  int error = ::posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, Pointers(argv).data(), Pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Failure(Error::FromErrno(Quoted(argv[0]), error));
  return pid;
}

// What it prints is not the program's output: erofsfuse greets.
Result<> RunHelper(const std::vector<std::string>& argv, const StartCommand& command, Sample& sample) {
  UniqueFd nowhere = TRY(OpenFile("/dev/null", O_WRONLY));
  pid_t pid = TRY(Spawn(argv, command.environment, nowhere.get()));
  int status = 0;
  rusage usage = {};
  while (::wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  sample.helper_cpu_ms += CpuMilliseconds(usage);
  if (status != 0) return Failure(Error(ErrorKind::kSystem, fmt::format("{}: {}", Quoted(argv[0]), DescribeStatus(status))));
  return {};
}

// A child begins with this process's peak as its own (the kernel keeps it through exec): make that what is in use now.
void ForgetOwnPeak() {
  auto file = OpenFile("/proc/self/clear_refs", O_WRONLY);
  if (file) static_cast<void>(WriteAll(file->get(), AsBytes("5\n")).has_value());
}

void KillChildren() {
  std::ifstream children(fmt::format("/proc/self/task/{}/children", ::getpid()));
  for (pid_t pid; children >> pid;) ::kill(pid, SIGKILL);
}

// Waits for every process there still is; false: some had to be killed.
bool WaitForHelpers(Sample& sample) {
  auto deadline = Clock::now() + kPatience;
  bool patient = true;
  while (true) {
    rusage usage = {};
    int status = 0;
    pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
    if (pid < 0 && errno == ECHILD) return patient;
    if (pid > 0) {
      sample.helper_cpu_ms += CpuMilliseconds(usage);
      sample.helper_peak_mb += PeakMegabytes(usage);
      continue;
    }
    if (Clock::now() > deadline) {
      patient = false;
      KillChildren();
    }
    ::usleep(500);
  }
}

Result<> WaitForPrograms(std::map<pid_t, Clock::time_point> begun, Sample& sample) {
  const auto count = static_cast<double>(begun.size());
  while (!begun.empty()) {
    rusage usage = {};
    int status = 0;
    pid_t pid = ::wait4(-1, &status, 0, &usage);
    if (pid < 0 && errno == EINTR) {
      if (Interruption::Signal() != 0) KillChildren();
      continue;
    }
    if (pid < 0) return Failure(Error::FromErrno("wait"));
    auto found = begun.find(pid);
    if (found == begun.end()) {  // a server that ended before the last program
      sample.helper_cpu_ms += CpuMilliseconds(usage);
      sample.helper_peak_mb += PeakMegabytes(usage);
      continue;
    }
    sample.wall_ms += Milliseconds(Clock::now() - found->second) / count;
    sample.cpu_ms += CpuMilliseconds(usage) / count;
    sample.peak_mb = std::max(sample.peak_mb, PeakMegabytes(usage));
    if (status != 0) sample.status = status;
    begun.erase(found);
  }
  return {};
}

Result<> RunPrograms(const StartCommand& command, unsigned parallel, int output, Sample& sample) {
  auto began = Clock::now();
  for (const auto& argv : command.before) TRY(RunHelper(argv, command, sample));
  double mounting = Milliseconds(Clock::now() - began);
  std::map<pid_t, Clock::time_point> begun;
  std::optional<Error> failed;
  for (unsigned i = 0; i < parallel && !failed; ++i) {
    auto now = Clock::now();
    auto pid = Spawn(command.argv, command.environment, output);
    if (pid) {
      begun.emplace(*pid, now);
    } else {
      failed = std::move(pid).error();
    }
  }
  TRY(WaitForPrograms(std::move(begun), sample));
  sample.wall_ms += mounting;
  if (failed) return Failure(*failed);
  return {};
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
  for (const auto& argv : command.after) {
    Sample ignored;
    auto undone = RunHelper(argv, command, ignored);
    if (!undone && Interruption::Signal() != 0) undone = RunHelper(argv, command, ignored);  // ctrl-C met it as well
    if (done && !undone) done = std::move(undone);
  }
  bool ended = WaitForHelpers(sample);
  if (!done) return Failure(std::move(done).error());
  if (!ended) {
    return Failure(Error(ErrorKind::kUnsupported, fmt::format("{}: leaves processes running, which were killed", Quoted(command.argv[0])))
                       .Remedy("measure with arguments that make it end"));
  }
  sample.helper_peak_mb /= parallel;
  sample.helper_cpu_ms /= parallel;
  if (keep_output) {
    sample.output.resize(kMaxOutput);
    sample.output.resize(TRY(ReadUpTo(output.get(), std::as_writable_bytes(std::span(sample.output)), 0)));
  }
  return sample;
}

Result<> DropPageCache() {
  ::sync();
  UniqueFd file = TRY(OpenFile("/proc/sys/vm/drop_caches", O_WRONLY));
  return WriteAll(file.get(), AsBytes("3\n"));
}

}  // namespace haft::bench
