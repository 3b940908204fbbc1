#include "attach.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "haft/base/file_io.h"
#include "haft/base/foreground.h"
#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"
#include "haft/format/image_paths.h"
#include "haft/format/manifest.h"
#include "haft/inspect/join_process.h"
#include "haft/launch/program.h"
#include "haft/start/start.h"
#include "own_terminal.h"

namespace haft::cli {
namespace {

// A directory of the bundle, spelled without "..".
bool IsInside(std::string_view directory, const std::string& mount) {
  return format::IsMountPath(directory) && directory.starts_with(mount + "/");
}

// REQUIRES: the directories are seen already.
void SetPaths(Environment& environment, const std::vector<std::string>& directories) {
  environment.Set("PYTHONPATH", fmt::format("{}", fmt::join(directories, ":")));
  std::vector<std::string> programs;
  for (const std::string& directory : directories) {
    std::string bin = JoinPath(directory, "bin");
    if (!format::MountOfBootstrap(directory) && ::access(bin.c_str(), X_OK) == 0)
      programs.push_back(std::move(bin));
  }
  PrependToPath(environment, programs);
}

std::string Bootstrap(const JoinTarget& target) {
  return JoinPath(target.mount, format::kBootstrapDirectory);
}

// What the bundle of a process of this user has set, as far as it leads into the bundle.
void TakeOver(const Environment& theirs, const JoinTarget& target, Environment& environment) {
  for (std::string_view name : {std::string_view("PYTHONNOUSERSITE"), variables::kBundle}) {
    if (auto value = theirs.Get(name)) {
      environment.Set(name, *value);
    } else {
      environment.Unset(name);
    }
  }
  std::vector<std::string> directories = {Bootstrap(target)};
  for (std::string_view directory : Split(theirs.Get("PYTHONPATH").value_or(""), ':')) {
    if (IsInside(directory, target.mount) && directory != directories[0])
      directories.emplace_back(directory);
  }
  SetPaths(environment, directories);
}

// What a log-in has, of the user that the process belongs to, and where the bundle's files are.
Environment FreshEnvironment(const JoinTarget& target) {
  Environment environment{{}};
  const Environment ours = Environment::Current();
  for (std::string_view name : {"TERM", "LANG"}) {
    if (auto value = ours.Get(name)) environment.Set(name, *value);
  }
  environment.Set("PATH", kDefaultPath);
  environment.Set("HOME", "/");
  auto accounts = ReadWholeFile("/etc/passwd");
  for (std::string_view line : Lines(accounts ? *accounts : std::string_view())) {
    const auto fields = Split(line, ':');
    if (fields.size() < 7 || ToNumber<uid_t>(fields[2]) != target.uid) continue;
    environment.Set("HOME", fields[5]);
    environment.Set("USER", fields[0]);
    environment.Set("LOGNAME", fields[0]);
    environment.Set("SHELL", fields[6]);
    break;
  }
  return environment;
}

Result<Program> MakeAttachedProgram(const JoinTarget& target, Environment environment,
                                    const MakeAttached& make_program) {
  if (::access(Bootstrap(target).c_str(), X_OK) < 0)
    return Failure(Error::FromErrno(Quoted(target.mount)));
  const std::string name(BaseName(target.mount));
  return make_program(format::IsBundleName(name) ? name : "bundle", std::move(environment));
}

}  // namespace

Result<pid_t> ParsePid(std::string_view text) {
  if (auto pid = ToNumber<pid_t>(text); pid && *pid > 0) return *pid;
  return Failure(
      Error(ErrorKind::kUsage, fmt::format("--attach {}: not a process id", Quoted(text))));
}

int RunAttached(pid_t pid, const MakeAttached& make_program) {
  SetLogLevelFromEnvironment();
  const std::string name = fmt::format("process {}", pid);
  auto target = FindJoinTarget(pid);
  if (!target) return Become(name, Failure(std::move(target).error()));
  if (!target->other_user) {
    return Become(name, [&]() -> Result<Program> {
      const Environment theirs = TRY(Environment::OfProcess(pid));
      Environment environment = Environment::Current();
      TRY(JoinProcess(*target));
      TakeOver(theirs, *target, environment);
      return MakeAttachedProgram(*target, std::move(environment), make_program);
    }());
  }
  auto status = RunInOwnTerminal(target->uid, [&] {
    return Become(name, [&]() -> Result<Program> {
      Environment environment = FreshEnvironment(*target);
      TRY(JoinProcess(*target));
      SetPaths(environment, {Bootstrap(*target), JoinPath(target->mount, format::kSitePackages)});
      return MakeAttachedProgram(*target, std::move(environment), make_program);
    }());
  });
  if (!status) return Become(name, Failure(std::move(status).error()));
  EndLike(*status);
}

}  // namespace haft::cli
