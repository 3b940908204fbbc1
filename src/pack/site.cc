#include "haft/pack/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "haft/pack/embedded_file.h"
#include "haft/pack/entry_points.h"

namespace haft {
namespace {

constexpr std::string_view kHttpd = "httpd";
constexpr std::array<std::string_view, 4> kServers = {kHttpd, "gunicorn", "uvicorn", "waitress"};
constexpr std::string_view kProgram = "_haft_serve.py";

}  // namespace

format::Entry Site::program() const {
  format::Entry entry;
  entry.kind = format::EntryKind::kScript;
  entry.file = fmt::format("{}/{}", kSiteDirectory, kProgram);
  entry.python = true;
  return entry;
}

Result<Site> ParseSite(std::string_view text, std::string_view server) {
  if (std::ranges::find(kServers, server) == kServers.end()) {
    return Failure(Error::Invalid(
        fmt::format("server {}: not one of {}", Quoted(server), fmt::join(kServers, ", "))));
  }
  std::string target(text);
  if (target.find(':') == target.npos) target += ":application";
  format::Entry application = TRY(format::ParseFunctionEntry(target, "web application"));
  return Site{.application = std::move(application), .server = std::string(server)};
}

Result<> AddSite(Tree& tree, const Site& site, std::string_view site_packages,
                 const PythonInterpreter& python) {
  std::vector<std::string> modules = {
      site.application.module.substr(0, site.application.module.find('.'))};
  if (site.server != kHttpd) modules.push_back(site.server);
  for (const std::string& module : modules) {
    if (TRY(HoldsModule(tree, site_packages, module)) || TRY(python.Finds(module))) continue;
    return Failure(
        Error(ErrorKind::kNotFound, fmt::format("module {}: neither in the inputs nor known to {}",
                                                Quoted(module), Quoted(python.target().path))));
  }
  for (const EmbeddedFile& file : ServeFiles()) {
    TRY(tree.AddText(JoinPath(kSiteDirectory, file.name), std::string(file.bytes)));
  }
  nlohmann::ordered_json json = {
      {"application", fmt::format("{}:{}", site.application.module, site.application.function)},
      {"server", site.server}};
  return tree.AddText(JoinPath(kSiteDirectory, "site.json"), json.dump() + "\n");
}

}  // namespace haft
