#include "haft/pack/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "haft/base/edit_distance.h"
#include "haft/pack/bootstrap.h"
#include "haft/pack/tree.h"

namespace haft {
namespace {

constexpr std::array<std::string_view, 4> kServers = {"httpd", "gunicorn", "uvicorn", "waitress"};

Result<> CheckServer(const format::Site& site) {
  if (std::ranges::find(kServers, site.server) == kServers.end()) {
    auto nearest = Nearest(site.server, kServers);
    return Failure(Error::Invalid(fmt::format("server {}: not one of {}", Quoted(site.server),
                                              Listed(kServers)))
                       .Remedy(nearest ? fmt::format("did you mean {}?", Quoted(*nearest))
                                       : "choose one of them"));
  }
  if (site.interface == "asgi" && site.server != "uvicorn") {
    return Failure(Error::Invalid(fmt::format("server {}: cannot serve an ASGI application",
                                              Quoted(site.server)))
                       .Remedy("use --server uvicorn"));
  }
  return {};
}

}  // namespace

Result<format::Site> ParseSite(const SiteRequest& request) {
  if (request.wsgi.empty() == request.asgi.empty()) {
    return Failure(Error::Invalid("a site is either a WSGI or an ASGI application")
                       .Remedy("give one of --wsgi MODULE:CALLABLE and --asgi MODULE:CALLABLE"));
  }
  const bool asgi = request.wsgi.empty();
  format::Site site = {.interface = asgi ? "asgi" : "wsgi",
                       .application = asgi ? request.asgi : request.wsgi,
                       .server = request.server};
  if (site.server.empty()) site.server = asgi ? "uvicorn" : "httpd";
  if (site.application.find(':') == std::string::npos) site.application += ":application";
  std::string_view plain = site.application;
  if (plain.ends_with("()")) plain.remove_suffix(2);
  TRY(format::ParseFunctionEntry(plain, site.interface + " application"));
  TRY(CheckServer(site));
  return site;
}

std::string SiteModule(const format::Site& site) {
  return site.application.substr(0, site.application.find(':'));
}

format::Entry SiteEntry(const format::Site& site) {
  return {.kind = format::EntryKind::kScript,
          .module = "",
          .function = "",
          .script = site.server,
          .file = JoinPath(kBootstrapDirectory, "_haft_serve.py"),
          .python = true};
}

}  // namespace haft
