#include "installer.h"

#include <fmt/format.h>

#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"
#include "python_code.h"

namespace haft {
namespace {

bool HasPip(const PythonInterpreter& python) {
  const auto found = python.Finds("pip");
  return found && *found;
}

// --no-compile: haft compiles itself, always to the same bytes. --prefix: none, whatever pip's
// configuration says.
Installer PipOf(const PythonInterpreter& python, const std::vector<std::string>& options) {
  Installer pip{.program = python.target().path,
                .arguments = {"-c", std::string(RunPip().front().bytes)}};
  pip.arguments.insert(pip.arguments.end(), options.begin(), options.end());
  pip.arguments.insert(pip.arguments.end(),
                       {"--disable-pip-version-check", "install", "--no-compile", "--prefix="});
  return pip;
}

// Other Pythons: those of the same version first, as they have packages of the same age.
std::vector<std::string> OtherPythons(const PythonInterpreter& python, std::string_view path) {
  const std::vector<std::string_view> version = Split(python.target().version, '.');
  std::vector<std::string> names = {"python3", "python"};
  if (version.size() > 1)
    names.insert(names.begin(), fmt::format("python{}.{}", version[0], version[1]));
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    for (std::string& candidate : CandidatesInPath(name, path))
      paths.push_back(std::move(candidate));
    paths.push_back("/usr/bin/" + name);
  }
  return paths;
}

}  // namespace

std::optional<Installer> FindInstaller(const PythonInterpreter& python) {
  if (HasPip(python)) return PipOf(python, {});
  const std::string path = GetVariable("PATH").value_or(std::string(kDefaultPath));
  for (const std::string& candidate : OtherPythons(python, path)) {
    if (!IsExecutableFile(candidate)) continue;
    const auto other = PythonInterpreter::Ask(candidate);
    if (other && HasPip(*other)) return PipOf(*other, {"--python", python.target().path});
  }
  const std::string uv = FindInPath("uv", path);
  if (uv.empty()) return std::nullopt;
  // Copies: what it would link to is its cache, which changes.
  return Installer{.program = uv,
                   .arguments = {"pip", "install", "--no-compile-bytecode", "--link-mode", "copy",
                                 "--python", python.target().path}};
}

}  // namespace haft
