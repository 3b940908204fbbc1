#include "host_python.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "haft/base/error.h"
#include "haft/base/log.h"

namespace haft::cli {
namespace {

constexpr std::string_view kUsual = "/usr/bin/python3";

bool IsExecutable(const std::string& path) {
  return ::access(path.c_str(), X_OK) == 0;
}

// `name` in the absolute directories of PATH; "" if it is in none.
std::string InPath(std::string_view name, const Environment& environment) {
  std::string_view path = environment.Get("PATH").value_or("");
  while (!path.empty()) {
    std::string_view directory = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), directory.size() + 1));
    std::string candidate = fmt::format("{}/{}", directory, name);
    if (directory.starts_with('/') && IsExecutable(candidate)) return candidate;
  }
  return "";
}

}  // namespace

std::string FindPython(std::string_view wanted, const Environment& environment) {
  if (wanted.empty()) return "";
  std::string path =
      wanted.find('/') == wanted.npos ? InPath(wanted, environment) : std::string(wanted);
  if (path.starts_with('/') && IsExecutable(path)) return path;
  Log(LogLevel::kDebug, "no interpreter {} here", Quoted(wanted));
  return "";
}

std::string FindPythonOrUsual(std::string_view wanted, const Environment& environment) {
  std::string path = FindPython(wanted, environment);
  if (path.empty() && !IsExecutable(std::string(kUsual))) path = InPath("python3", environment);
  return path.empty() ? std::string(kUsual) : path;
}

}  // namespace haft::cli
