#include "haft/python/python_interpreter.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <optional>

#include "haft/launch/interpreter.h"

namespace haft {
namespace {

constexpr int kOldestMinor =
    8;  // Python 3.8: what haft's own modules in the bundle are written for

bool IsProgram(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

Error NotUsable(std::string_view name, std::string_view why) {
  return Error::Invalid(fmt::format("python {}: {}", Quoted(name), why));
}

Result<std::string> FindProgram(const std::string& name) {
  std::error_code ignored;
  if (name.find('/') != name.npos) {
    std::string path =
        name[0] == '/' ? name : (std::filesystem::current_path(ignored) / name).string();
    if (IsProgram(path)) return path;
    int error = ::access(path.c_str(), F_OK) < 0 ? errno : EACCES;
    return Failure(Error::FromErrno("python " + Quoted(name), error)
                       .Remedy("-p names the interpreter the bundle is for"));
  }
  const char* variable = ::getenv("PATH");
  std::string_view directories = variable != nullptr ? variable : "/usr/bin:/bin";
  for (bool more = !name.empty(); more;) {
    std::size_t colon = directories.find(':');
    // A relative entry would make the bundle depend on where it was built.
    std::string path = fmt::format("{}/{}", directories.substr(0, colon), name);
    if (path[0] == '/' && IsProgram(path)) return path;
    more = colon != directories.npos;
    if (more) directories.remove_prefix(colon + 1);
  }
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
  constexpr std::string_view kCode =
      "import sys, importlib.util\nsys.exit(0 if importlib.util.find_spec(sys.argv[1]) else 44)";
  auto output =
      TRY(RunCommand({.program = target_.path,
                      .arguments = {installed ? "-I" : "-IS", "-B", "-c", std::string(kCode), name},
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
  const char* path = ::getenv("PATH");
  // -S: the code imports `site` itself, when it is ready to see what that does.
  return {.program = target_.path,
          .arguments = {"-S", "-B", "-c", std::string(code)},
          .environment = {fmt::format("PATH={}", path != nullptr ? path : "/usr/bin:/bin"),
                          "LANG=C.UTF-8", "PYTHONHASHSEED=0", "PYTHONNOUSERSITE=1", "HAFT_INDEX=0"},
          .fixed_addresses = true,
          .channel = ChannelPlace::kDescriptor3,
          .new_session = true};
}

}  // namespace haft
