#include "httpd_files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "haft/base/path.h"

namespace haft {
namespace {

constexpr std::array kHelpers = {"rotatelogs", "htcacheclean", "htpasswd",    "htdigest",
                                 "htdbm",      "logresolve",   "fcgistarter", "ab"};
constexpr std::array kPrograms = {"/usr/sbin/apache2", "/usr/sbin/httpd",
                                  "/usr/local/apache2/bin/httpd"};
constexpr std::array kModules = {"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules",
                                 "/usr/lib/httpd/modules", "/usr/local/apache2/modules"};
constexpr std::array kMimeTypes = {"/etc/mime.types", "/etc/httpd/conf/mime.types",
                                   "/usr/local/apache2/conf/mime.types"};

}  // namespace

Result<HttpdFiles> FindHttpdFiles(const std::string& program) {
  HttpdFiles files{.program = program, .modules = {}, .helpers = {}, .mime_types = {}};
  for (std::size_t i = 0; files.program.empty() && i < kPrograms.size(); ++i) {
    if (IsExecutableFile(kPrograms[i])) files.program = kPrograms[i];
  }
  if (files.program.empty()) {
    return Failure(Error(ErrorKind::kNotFound, "httpd: not found in /usr/sbin")
                       .Remedy("install apache2-bin (httpd), or name the program with --httpd"));
  }
  if (!IsExecutableFile(files.program))
    return Failure(
        Error(ErrorKind::kNotFound, fmt::format("httpd {}: no program", Quoted(files.program))));

  const std::string beside(DirName(files.program));
  std::vector<std::string> modules = {JoinPath(DirName(beside), "modules")};
  modules.insert(modules.end(), kModules.begin(), kModules.end());
  auto found = std::ranges::find_if(modules, [](const std::string& directory) {
    return ::access((directory + "/mod_mime.so").c_str(), R_OK) == 0;
  });
  if (found == modules.end()) {
    return Failure(Error(ErrorKind::kNotFound, fmt::format("httpd {}: its modules are not found",
                                                           Quoted(files.program))));
  }
  files.modules = *found;
  for (const char* helper : kHelpers) {
    for (const std::string& directory :
         {beside, std::string("/usr/bin"), std::string("/usr/sbin")}) {
      std::string path = fmt::format("{}/{}", directory, helper);
      if (!IsExecutableFile(path)) continue;
      files.helpers.push_back(std::move(path));
      break;
    }
  }
  auto types =
      std::ranges::find_if(kMimeTypes, [](const char* path) { return ::access(path, R_OK) == 0; });
  if (types != kMimeTypes.end()) files.mime_types = *types;
  return files;
}

}  // namespace haft
