#include "haft/launch/program.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace haft {
namespace {

using format::Manifest;
using format::PythonTarget;

constexpr std::string_view kBootstrapDirectory = ".haft/py";
// Not a file in the mount: Python takes a script it cannot read for an empty one and ends with status 0.
// The directory that -c puts first on sys.path, the current one, goes before anything is imported.
constexpr std::string_view kStartCode =
    "import sys; sys.path[:1] == [''] and sys.path.pop(0); import _haft; _haft.run_program()";

// "3.11" of "3.11.2".
std::string_view MinorVersion(std::string_view version) {
  auto dot = version.find('.');
  return dot == version.npos ? version : version.substr(0, version.find('.', dot + 1));
}

bool IsExecutable(const std::string& path) {
  struct stat status;
  return ::access(path.c_str(), X_OK) == 0 && ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// "3.12" if the file behind `path` is called python3.12, "" if its name does not tell.
std::string VersionInName(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) return "";
  std::string_view name(resolved);
  name.remove_prefix(name.rfind('/') + 1);
  constexpr std::string_view kPrefix = "python";
  if (!name.starts_with(kPrefix)) return "";
  name.remove_prefix(kPrefix.size());
  bool is_version = name.find('.') != name.npos && name.find_first_not_of("0123456789.") == name.npos;
  return is_version ? std::string(name) : "";
}

std::vector<std::string> Candidates(const PythonTarget& target, const Environment& environment) {
  std::vector<std::string> paths = {target.path};
  std::string name = fmt::format("python{}", MinorVersion(target.version));
  for (std::string_view dir : {"/usr/bin", "/usr/local/bin"}) paths.push_back(fmt::format("{}/{}", dir, name));
  std::string_view path = environment.Get("PATH").value_or("");
  while (!path.empty()) {
    std::string_view dir = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), dir.size() + 1));
    if (dir.starts_with('/')) paths.push_back(fmt::format("{}/{}", dir, name));  // never the working directory
  }
  return paths;
}

}  // namespace

Result<std::string> ChooseInterpreter(const PythonTarget& target, const Environment& environment) {
  if (target.path.empty()) return Failure(Error::Corrupt("the manifest names no interpreter"));
  std::string_view wanted = MinorVersion(target.version);
  std::string other;
  for (const std::string& path : Candidates(target, environment)) {
    if (!IsExecutable(path)) continue;
    std::string version = VersionInName(path);
    if (version.empty() || version == wanted) return path;
    if (other.empty()) other = fmt::format("{} is Python {}", Quoted(path), version);
  }
  std::string why = other.empty() ? fmt::format("{} is not there", Quoted(target.path)) : other;
  return Failure(Error(ErrorKind::kNotFound, fmt::format("needs Python {}: {}", wanted, why))
                     .Remedy(fmt::format("install python{0} or put python{0} into PATH", wanted)));
}

Result<Program> MakeProgram(const Manifest& manifest, std::vector<std::string> argv, Environment environment) {
  if (manifest.entry.kind == format::EntryKind::kNone) {
    return Failure(Error(ErrorKind::kUnsupported, "the image has no entry to run"));
  }
  std::string bootstrap = fmt::format("{}/{}", manifest.mount, kBootstrapDirectory);
  std::string python_path = bootstrap;
  for (const std::string& path : manifest.paths) python_path += fmt::format(":{}/{}", manifest.mount, path);
  if (auto old = environment.Get("PYTHONPATH"); old && !old->empty()) python_path += fmt::format(":{}", *old);
  environment.Set("PYTHONPATH", python_path);

  Program program{.path = TRY(ChooseInterpreter(manifest.python, environment))};
  program.arguments = {program.path, "-c", std::string(kStartCode)};
  for (std::string& argument : argv) program.arguments.push_back(std::move(argument));
  program.environment = std::move(environment);
  return program;
}

Error Execute(Program program) {
  std::vector<char*> arguments;
  for (std::string& argument : program.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  ::execve(program.path.c_str(), arguments.data(), program.environment.Pointers().data());
  Error error = Error::FromErrno(fmt::format("run {}", Quoted(program.path)));
  if (error.sys_errno() != E2BIG) return error;
  return std::move(error).Remedy("arguments and environment are too large");
}

int ExitStatusFor(const Error& error) {
  return error.sys_errno() == ENOENT || error.sys_errno() == ENOTDIR ? kExitNotFound : kExitNotExecutable;
}

}  // namespace haft
