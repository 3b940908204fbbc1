#include "haft/base/path.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "haft/base/text.h"

namespace haft {

std::string_view BaseName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 == 0
}

std::string_view DirName(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos) return {};
  return path.substr(0, slash == 0 ? 1 : slash);
}

std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string ParentDirectory(std::string path) {
  path = WithoutTrailingSlashes(std::move(path));
  const std::string_view parent = DirName(path);
  return parent.empty() ? "." : std::string(parent);
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return fmt::format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", name);
}

bool IsExecutableFile(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> CandidatesInPath(std::string_view name, std::string_view search_path) {
  std::vector<std::string> candidates;
  for (std::string_view directory : Split(search_path, ':')) {
    if (directory.starts_with('/')) candidates.push_back(fmt::format("{}/{}", directory, name));
  }
  return candidates;
}

std::string FindInPath(std::string_view name, std::string_view search_path) {
  for (std::string& candidate : CandidatesInPath(name, search_path)) {
    if (IsExecutableFile(candidate)) return std::move(candidate);
  }
  return "";
}

}  // namespace haft
