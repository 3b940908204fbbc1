#include "haft/launch/interpreter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <span>

#include "haft/base/file_io.h"
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

// "3.12" if the file behind `path` is called python3.12 or pypy3.12, "" if its name does not tell.
std::string VersionInName(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) return "";
  std::string_view name = BaseName(resolved);
  const std::string_view prefix = name.starts_with("pypy") ? "pypy" : "python";
  if (!name.starts_with(prefix)) return "";
  name.remove_prefix(prefix.size());
  bool is_version =
      name.find('.') != name.npos && name.find_first_not_of("0123456789.") == name.npos;
  return is_version ? std::string(name) : "";
}

// A program of pyenv's kind: a script that starts one Python or another.
bool IsShim(const std::string& path) {
  auto file = OpenFile(path, O_RDONLY);
  std::array<char, 2> start = {};
  return file && ReadExactly(file->get(), std::as_writable_bytes(std::span(start)), 0) &&
         start == std::array{'#', '!'};
}

// The line that says why: a script explains itself from the top, Python at the end of a traceback,
// and where it names a fatal error.
std::string_view Complaint(std::string_view errors) {
  const std::vector<std::string_view> lines = Lines(errors);
  for (std::string_view line : lines) {
    if (line.starts_with("Fatal Python error")) return line;
  }
  for (std::string_view line : lines) {
    if (line.starts_with("Traceback ")) break;
    if (!Trim(line).empty()) return Trim(line);
  }
  return Trim(LastLine(errors));
}

// "Python 3.11 (cpython-311-x86_64-linux-gnu)".
std::string Wanted(const PythonTarget& target) {
  std::string text = fmt::format("Python {}", MinorVersion(target.version));
  if (!target.soabi.empty()) text += fmt::format(" ({})", target.soabi);
  return text;
}

// The interpreter `path`, or what it stands for, if that can run the bundle; else why not. Members
// the bundle does not know (an archive that names no interpreter) fit everything.
Result<std::string> Fitting(const std::string& path, const PythonTarget& target,
                            const Environment& environment) {
  PythonTarget found = TRY(AskInterpreter(path, environment));
  bool version =
      target.version.empty() || MinorVersion(found.version) == MinorVersion(target.version);
  bool abi = target.soabi.empty() ? target.tag.empty() || found.tag == target.tag
                                  : found.soabi == target.soabi;
  if (version && abi) return std::move(found.path);
  return Failure(Error::Invalid(fmt::format("{} is Python {} ({})", Quoted(path), found.version,
                                            found.soabi.empty() ? found.tag : found.soabi)));
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
  auto fitting = Fitting(path, target, environment);
  if (fitting) return fitting;
  return Failure(Error(ErrorKind::kNotFound, fmt::format("needs {}: not taken: {}", Wanted(target),
                                                         fitting.error().message())));
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
    const std::string_view complaint = Complaint(output.errors);
    std::string why = DescribeStatus(output.status);
    // What is no Python may say that it does not understand our question: nobody else would.
    if (!complaint.empty() && complaint.find(kAnswer) == complaint.npos)
      why += fmt::format(", {}", Quoted(complaint.substr(0, 200)));
    return Failure(Error::Invalid(fmt::format("{}: {}", Quoted(path), why)));
  }
  const std::vector<std::string_view> lines = Lines(output.out);
  if (lines.size() != 5 || lines[0] != kAnswer) {
    return Failure(
        Error::Invalid(fmt::format("{}: does not answer as a Python interpreter", Quoted(path))));
  }
  std::string real(lines[4]);
  return PythonTarget{.path = IsShim(path) && IsExecutableFile(real) ? std::move(real) : path,
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
    const std::string version = VersionInName(target.path);
    if (wanted.empty() || (version == wanted && !IsShim(target.path))) return target.path;
    if (version.empty() || version == wanted) {
      auto fitting = Fitting(target.path, target, environment);
      if (fitting) return fitting;
      why = fitting.error().message();
    } else {
      why = fmt::format("{} is Python {}", Quoted(target.path), version);
    }
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
    auto fitting = Fitting(path, target, environment);
    if (fitting) return fitting;
    if (first_mismatch.empty()) first_mismatch = fitting.error().message();
  }
  return Failure(Refusal(target, first_mismatch.empty() ? why : first_mismatch));
}

}  // namespace haft
