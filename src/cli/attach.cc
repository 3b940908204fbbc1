#include "attach.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <vector>

#include "haft/inspect/join_process.h"
#include "haft/launch/program.h"

namespace haft::cli {
namespace {

constexpr std::string_view kBootstrap = "/.haft/py";
// What a bundle sets for its program.
constexpr std::string_view kVariables[] = {"PYTHONPATH", "PYTHONNOUSERSITE", "HAFT_BUNDLE"};

std::vector<std::string> Components(std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    std::string_view component = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), component.size() + 1));
    components.emplace_back(component);
  }
  return components;
}

// "/haft/NAME" of "/haft/NAME/.haft/py:…"; "" if no bundle has put anything there.
std::string MountIn(std::string_view python_path) {
  for (const std::string& component : Components(python_path)) {
    if (component.starts_with('/') && component.ends_with(kBootstrap)) {
      return component.substr(0, component.size() - kBootstrap.size());
    }
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
  if (::access((attached.mount + std::string(kBootstrap)).c_str(), X_OK) < 0) {
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
  for (const std::string& component : Components(*theirs.Get("PYTHONPATH"))) {
    std::string directory = component + "/bin";
    bool ours = component.starts_with(attached.mount) && !component.ends_with(kBootstrap);
    if (ours && ::access(directory.c_str(), X_OK) == 0) programs.push_back(std::move(directory));
  }
  PrependToPath(attached.environment, programs);
  return attached;
}

}  // namespace haft::cli
