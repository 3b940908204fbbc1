#include "host_python.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "haft/base/error.h"
#include "haft/base/log.h"
#include "haft/base/path.h"

namespace haft::cli {
namespace {

constexpr std::string_view kUsual = "/usr/bin/python3";

std::string_view PathOf(const Environment& environment) {
  return environment.Get("PATH").value_or("");
}

}  // namespace

std::string FindPython(std::string_view wanted, const Environment& environment) {
  if (wanted.empty()) return "";
  std::string path =
      wanted.contains('/') ? std::string(wanted) : FindInPath(wanted, PathOf(environment));
  if (path.starts_with('/') && IsExecutableFile(path)) return path;
  Log(LogLevel::kDebug, "no interpreter {} here", Quoted(wanted));
  return "";
}

std::string FindPythonOrUsual(std::string_view wanted, const Environment& environment) {
  std::string path = FindPython(wanted, environment);
  if (path.empty() && !IsExecutableFile(std::string(kUsual)))
    path = FindInPath("python3", PathOf(environment));
  return path.empty() ? std::string(kUsual) : path;
}

}  // namespace haft::cli
