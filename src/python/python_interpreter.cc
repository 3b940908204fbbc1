#include "haft/python/python_interpreter.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <optional>

#include "haft/base/path.h"
#include "haft/base/variables.h"
#include "haft/launch/interpreter.h"
#include "python_code.h"

namespace haft {
namespace {

// Python 3.8: what haft's own modules in the bundle are written for.
constexpr int kOldestMinor = 8;

Error NotUsable(std::string_view name, std::string_view why) {
  return Error::Invalid(fmt::format("python {}: {}", Quoted(name), why));
}

std::string SearchPath() {
  return GetVariable("PATH").value_or(std::string(kDefaultPath));
}

Result<std::string> FindProgram(const std::string& name) {
  std::error_code ignored;
  if (name.find('/') != name.npos) {
    std::string path =
        name[0] == '/' ? name : (std::filesystem::current_path(ignored) / name).string();
    if (IsExecutableFile(path)) return path;
    int error = ::access(path.c_str(), F_OK) < 0 ? errno : EACCES;
    return Failure(Error::FromErrno("python " + Quoted(name), error)
                       .Remedy("-p names the interpreter the bundle is for"));
  }
  std::string path = FindInPath(name, SearchPath());
  if (!path.empty()) return path;
  return Failure(
      Error(ErrorKind::kNotFound, fmt::format("python {}: not found in PATH", Quoted(name)))
          .Remedy("-p names the interpreter the bundle is for"));
}

std::vector<std::string> EnvironmentWithoutPython() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("PYTHON")) environment.emplace_back(*entry);
  }
  return environment;
}

// "3.11.2" is new enough. nullopt: no version.
std::optional<bool> IsNewEnough(std::string_view version) {
  int major = 0, minor = 0;
  const char* end = version.data() + version.size();
  auto [dot, error] = std::from_chars(version.data(), end, major);
  if (error != std::errc() || dot == end || *dot != '.') return std::nullopt;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc()) return std::nullopt;
  return major > 3 || (major == 3 && minor >= kOldestMinor);
}

}  // namespace

Result<PythonInterpreter> PythonInterpreter::Ask(const std::string& name) {
  std::string path = TRY(FindProgram(name));
  auto target = AskInterpreter(path, Environment::Current());
  if (!target) {
    return Failure(std::move(target).error().Within("python").Remedy(
        "-p needs a Python interpreter, 3.8 or newer"));
  }
  std::optional<bool> new_enough = IsNewEnough(target->version);
  if (!new_enough) {
    return Failure(NotUsable(name, "does not answer as a Python interpreter")
                       .Remedy("-p needs Python 3.8 or newer"));
  }
  if (!*new_enough) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("python {}: is Python {}", Quoted(name), target->version))
                       .Remedy("bundles need Python 3.8 or newer"));
  }
  return PythonInterpreter(*std::move(target));
}

Result<bool> PythonInterpreter::Finds(const std::string& name, bool installed) const {
  const std::string code(FindModule().front().bytes);
  auto output = TRY(RunCommand({.program = target_.path,
                                .arguments = {installed ? "-I" : "-IS", "-B", "-c", code, name},
                                .environment = EnvironmentWithoutPython()}));
  return output.status == 0;
}

Command PythonInterpreter::ReproducibleCommand(std::string_view code) const {
  // Not -I or -E: with them PYTHONHASHSEED would be ignored as well. `code` has to remove the
  // current directory from sys.path ("" at its front) before it imports anything; -P would, but
  // came with 3.11.
  std::vector<std::string> environment = EnvironmentWithoutPython();
  environment.emplace_back("PYTHONHASHSEED=0");
  return {.program = target_.path,
          .arguments = {"-s", "-S", "-B", "-W", "ignore", "-c", std::string(code)},
          .environment = std::move(environment),
          .fixed_addresses = true,
          .channel = ChannelPlace::kDescriptor3};
}

Command PythonInterpreter::RecordedCommand(std::string_view code) const {
  // -S: the code imports `site` itself, when it is ready to see what that does.
  return {.program = target_.path,
          .arguments = {"-S", "-B", "-c", std::string(code)},
          .environment = {fmt::format("PATH={}", SearchPath()), "LANG=C.UTF-8", "PYTHONHASHSEED=0",
                          "PYTHONNOUSERSITE=1", fmt::format("{}=0", variables::kIndex)},
          .fixed_addresses = true,
          .channel = ChannelPlace::kDescriptor3,
          .new_session = true};
}

}  // namespace haft
