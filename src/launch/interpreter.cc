#include "haft/launch/interpreter.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/text.h"
#include "python_code.h"

namespace haft {
namespace {

using format::PythonTarget;

// The first line of the answer to interpreter_question.py.
constexpr std::string_view kAnswer = "haft-answer";

// "3.11" of "3.11.2".
std::string_view MinorVersion(std::string_view version) {
  auto dot = version.find('.');
  return dot == version.npos ? version : version.substr(0, version.find('.', dot + 1));
}

// "3.12" if the file behind `path` is called python3.12, "" if its name does not tell.
std::string VersionInName(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) return "";
  std::string_view name = BaseName(resolved);
  constexpr std::string_view kPrefix = "python";
  if (!name.starts_with(kPrefix)) return "";
  name.remove_prefix(kPrefix.size());
  bool is_version =
      name.find('.') != name.npos && name.find_first_not_of("0123456789.") == name.npos;
  return is_version ? std::string(name) : "";
}

// "Python 3.11 (cpython-311-x86_64-linux-gnu)".
std::string Wanted(const PythonTarget& target) {
  std::string text = fmt::format("Python {}", MinorVersion(target.version));
  if (!target.soabi.empty()) text += fmt::format(" ({})", target.soabi);
  return text;
}

// Why the interpreter `path` cannot run the bundle; nullopt: it can. Members the bundle does not
// know (an archive that names no interpreter) fit everything.
std::optional<std::string> MismatchOf(const std::string& path, const PythonTarget& target,
                                      const Environment& environment) {
  auto found = AskInterpreter(path, environment);
  if (!found) return std::move(found).error().message();
  bool version =
      target.version.empty() || MinorVersion(found->version) == MinorVersion(target.version);
  bool abi = target.soabi.empty() ? target.tag.empty() || found->tag == target.tag
                                  : found->soabi == target.soabi;
  if (version && abi) return std::nullopt;
  return fmt::format("{} is Python {} ({})", Quoted(path), found->version,
                     found->soabi.empty() ? found->tag : found->soabi);
}

Error Refusal(const PythonTarget& target, std::string_view why) {
  std::string_view version = MinorVersion(target.version);
  return Error(ErrorKind::kNotFound, fmt::format("needs {}: {}", Wanted(target), why))
      .Remedy(
          fmt::format("install python{0}, put it into PATH or name it with HAFT_PYTHON", version));
}

Error RequestedIsUnusable(std::string_view requested, std::string_view why) {
  return Error(ErrorKind::kNotFound, fmt::format("interpreter {}: {}", Quoted(requested), why))
      .Remedy("HAFT_PYTHON, and -p of 'haft run', take a path or a name in PATH");
}

Result<std::string> TakeRequested(const PythonTarget& target, const Environment& environment,
                                  std::string_view requested) {
  std::string path(requested);
  if (requested.find('/') == requested.npos) {
    path = FindInPath(requested, environment.Get("PATH").value_or(""));
    if (path.empty()) return Failure(RequestedIsUnusable(requested, "not found in PATH"));
  } else if (requested[0] != '/') {
    char directory[PATH_MAX];
    if (::getcwd(directory, sizeof directory) != nullptr)
      path = fmt::format("{}/{}", directory, requested);
  }
  if (!IsExecutableFile(path)) {
    return Failure(RequestedIsUnusable(
        requested, ::strerror(::access(path.c_str(), F_OK) < 0 ? errno : EACCES)));
  }
  if (auto mismatch = MismatchOf(path, target, environment)) {
    return Failure(Error(ErrorKind::kNotFound,
                         fmt::format("needs {}: not taken: {}", Wanted(target), *mismatch)));
  }
  return path;
}

}  // namespace

Result<PythonTarget> AskInterpreter(const std::string& path, const Environment& environment) {
  std::vector<std::string> clean;
  for (const std::string& entry : environment.entries()) {
    // HAFT_*: should it be a bundle instead of a Python, it must not ask itself.
    if (!entry.starts_with("PYTHON") && !entry.starts_with("HAFT_")) clean.push_back(entry);
  }
  auto output = TRY(RunCommand(
      {.program = path,
       .arguments = {"-I", "-S", "-B", "-c", std::string(InterpreterQuestion().front().bytes)},
       .environment = std::move(clean)}));
  if (output.status != 0) {
    const std::string_view last = LastLine(output.errors);
    std::string why = DescribeStatus(output.status);
    // What is no Python may say that it does not understand our question: nobody else would.
    if (!last.empty() && last.find(kAnswer) == last.npos)
      why += fmt::format(", {}", Quoted(last.substr(0, 200)));
    return Failure(Error::Invalid(fmt::format("{}: {}", Quoted(path), why)));
  }
  const std::vector<std::string_view> lines = Lines(output.out);
  if (lines.size() != 4 || lines[0] != kAnswer) {
    return Failure(
        Error::Invalid(fmt::format("{}: does not answer as a Python interpreter", Quoted(path))));
  }
  return PythonTarget{.path = path,
                      .version = std::string(lines[1]),
                      .tag = std::string(lines[2]),
                      .soabi = std::string(lines[3])};
}

Result<std::string> ChooseInterpreter(const PythonTarget& target, const Environment& environment,
                                      std::string_view requested) {
  if (!requested.empty()) return TakeRequested(target, environment, requested);
  if (target.path.empty()) return Failure(Error::Corrupt("the manifest names no interpreter"));
  std::string_view wanted = MinorVersion(target.version);
  std::string why = fmt::format("{} is not there", Quoted(target.path));
  if (IsExecutableFile(target.path)) {
    std::string version = VersionInName(target.path);
    if (version.empty() || wanted.empty() || version == wanted) return target.path;
    why = fmt::format("{} is Python {}", Quoted(target.path), version);
  }
  if (wanted.empty())
    return Failure(Error(ErrorKind::kNotFound, why).Remedy("name an interpreter with HAFT_PYTHON"));
  std::string name = fmt::format("python{}", wanted);
  std::vector<std::string> candidates = {"/usr/bin/" + name, "/usr/local/bin/" + name};
  for (std::string& path : CandidatesInPath(name, environment.Get("PATH").value_or("")))
    candidates.push_back(std::move(path));
  std::string first_mismatch;
  for (const std::string& path : candidates) {
    if (path == target.path || !IsExecutableFile(path)) continue;
    auto mismatch = MismatchOf(path, target, environment);
    if (!mismatch) return path;
    if (first_mismatch.empty()) first_mismatch = *mismatch;
  }
  return Failure(Refusal(target, first_mismatch.empty() ? why : first_mismatch));
}

}  // namespace haft
