#include "haft/pack/python_interpreter.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <optional>

namespace haft {
namespace {

// One value per line; the first line tells Python's answer from anything else a program may print.
// Has to run in any Python 3, so that an old one can be named in the error. sysconfig knows SOABI,
// but needs a file Debian keeps apart for some versions; the suffix of extension modules says the
// same.
constexpr std::string_view kQuestion = R"(
import sys
from importlib.machinery import EXTENSION_SUFFIXES
soabi = EXTENSION_SUFFIXES[0] if EXTENSION_SUFFIXES else ''
print('haft-answer')
print('%d.%d.%d' % sys.version_info[:3])
print(sys.implementation.cache_tag or '')
print(soabi.split('.')[1] if soabi.count('.') > 1 else '')
)";

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

std::string LastLine(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));  // npos + 1 == 0
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    lines.emplace_back(line);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return lines;
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
  auto output = RunCommand({.program = path,
                            .arguments = {"-I", "-S", "-B", "-c", std::string(kQuestion)},
                            .environment = EnvironmentWithoutPython()});
  if (!output) return Failure(std::move(output).error().Within("python " + Quoted(name)));
  if (output->status != 0) {
    std::string last = LastLine(output->errors);
    std::string why = DescribeStatus(output->status);
    if (!last.empty()) why += fmt::format(", {}", Quoted(last.substr(0, 200)));
    return Failure(NotUsable(name, why).Remedy("-p needs a Python interpreter, 3.8 or newer"));
  }
  std::vector<std::string> lines = Lines(output->out);
  if (lines.size() != 4 || lines[0] != "haft-answer" || !IsNewEnough(lines[1])) {
    return Failure(NotUsable(name, "does not answer as a Python interpreter")
                       .Remedy("-p needs Python 3.8 or newer"));
  }
  if (!*IsNewEnough(lines[1])) {
    return Failure(Error(ErrorKind::kUnsupported,
                         fmt::format("python {}: is Python {}", Quoted(name), lines[1]))
                       .Remedy("bundles need Python 3.8 or newer"));
  }
  return PythonInterpreter({.path = path, .version = lines[1], .tag = lines[2], .soabi = lines[3]});
}

Result<bool> PythonInterpreter::Finds(const std::string& name) const {
  constexpr std::string_view kCode =
      "import sys, importlib.util\nsys.exit(0 if importlib.util.find_spec(sys.argv[1]) else 44)";
  auto output = TRY(RunCommand({.program = target_.path,
                                .arguments = {"-I", "-B", "-c", std::string(kCode), name},
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

}  // namespace haft
