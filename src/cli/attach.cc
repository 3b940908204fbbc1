#include "attach.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <vector>

#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"
#include "haft/format/image_paths.h"
#include "haft/inspect/join_process.h"
#include "haft/launch/program.h"

namespace haft::cli {
namespace {

// What a bundle sets for its program.
constexpr std::string_view kVariables[] = {"PYTHONPATH", "PYTHONNOUSERSITE", variables::kBundle};

// "/run/haft/NAME" of "/run/haft/NAME/.haft/py:…"; "" if no bundle has put anything there.
std::string MountIn(std::string_view python_path) {
  for (std::string_view directory : Split(python_path, ':')) {
    const auto mount = format::MountOfBootstrap(directory);
    if (mount && directory.starts_with('/')) return std::string(*mount);
  }
  return "";
}

}  // namespace

Result<pid_t> ParsePid(std::string_view text) {
  pid_t pid = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error == std::errc() && end == text.data() + text.size() && pid > 0) return pid;
  return Failure(
      Error(ErrorKind::kUsage, fmt::format("--attach {}: not a process id", Quoted(text))));
}

Result<Attached> Attach(pid_t pid) {
  Environment theirs = TRY(Environment::OfProcess(pid));
  Attached attached{.mount = MountIn(theirs.Get("PYTHONPATH").value_or("")),
                    .environment = Environment::Current()};
  if (attached.mount.empty()) {
    return Failure(Error::Invalid("not a process of a bundle")
                       .Remedy("name one that inherited the bundle's PYTHONPATH"));
  }
  TRY(JoinProcess(pid));
  if (::access(JoinPath(attached.mount, format::kBootstrapDirectory).c_str(), X_OK) < 0) {
    return Failure(Error::FromErrno(Quoted(attached.mount)));
  }
  for (std::string_view name : kVariables) {
    if (auto value = theirs.Get(name)) {
      attached.environment.Set(name, *value);
    } else {
      attached.environment.Unset(name);
    }
  }
  std::vector<std::string> programs;
  for (std::string_view directory : Split(*theirs.Get("PYTHONPATH"), ':')) {
    const bool ours = directory.starts_with(attached.mount) && !format::MountOfBootstrap(directory);
    std::string bin = JoinPath(directory, "bin");
    if (ours && ::access(bin.c_str(), X_OK) == 0) programs.push_back(std::move(bin));
  }
  PrependToPath(attached.environment, programs);
  return attached;
}

}  // namespace haft::cli
