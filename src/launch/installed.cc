#include "haft/launch/installed.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "haft/base/path.h"
#include "haft/base/variables.h"

namespace haft {
namespace {

constexpr int kMostLinks = 40;  // as the kernel

struct Free {
  void operator()(char* text) const { ::free(text); }
};

std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, Free> real(::realpath(path.c_str(), nullptr));
  return real ? real.get() : "";
}

}  // namespace

std::string InstalledAs(std::string executed, const std::string& bundle) {
  if (BaseName(bundle) != kInstalledFile || executed.empty()) return "";
  const std::string links = JoinPath(DirName(bundle), "bin");
  for (int i = 0; i < kMostLinks; ++i) {
    char target[PATH_MAX];
    const ssize_t size = ::readlink(executed.c_str(), target, sizeof target);
    if (size <= 0 || size == sizeof target) return "";
    const std::string directory = ParentDirectory(executed);
    if (RealPath(directory) == links) return std::string(BaseName(executed));
    const std::string_view next(target, static_cast<std::size_t>(size));
    executed = next.starts_with('/') ? std::string(next) : JoinPath(directory, next);
  }
  return "";
}

void AskForInstalled(const format::Manifest& manifest, const std::string& name,
                     const std::string& bundle, Environment& environment) {
  environment.Unset(variables::kExecutable);
  if (name.empty()) return;
  const bool interpreter =
      std::ranges::find(kInstalledInterpreters, name) != kInstalledInterpreters.end();
  if (!interpreter) {
    environment.Set(variables::kExecutable,
                    JoinPath(JoinPath(DirName(bundle), "bin"), kInstalledInterpreters.front()));
  }
  for (std::string_view asked :
       {variables::kInterpreter, variables::kScript, variables::kEntryPoint}) {
    if (!environment.Get(asked).value_or("").empty()) return;
  }
  if (interpreter) {
    environment.Set(variables::kInterpreter, "1");
  } else if (name != manifest.entry.script &&
             std::ranges::find(manifest.scripts, name, &format::Entry::script) !=
                 manifest.scripts.end()) {
    environment.Set(variables::kScript, name);
  }
}

}  // namespace haft
