#include "haft/web/web_application.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "haft/base/edit_distance.h"
#include "haft/base/path.h"
#include "haft/base/text.h"
#include "haft/format/image_paths.h"
#include "haft/python/bootstrap.h"
#include "haft/tree/tree.h"

namespace haft {
namespace {

constexpr std::array<std::string_view, 4> kServers = {"httpd", "gunicorn", "uvicorn", "waitress"};

Result<> CheckServer(const format::WebApplication& web) {
  if (std::ranges::find(kServers, web.server) == kServers.end()) {
    auto nearest = Nearest(web.server, kServers);
    return Failure(Error::Invalid(fmt::format("server {}: not one of {}", Quoted(web.server),
                                              Listed(kServers)))
                       .Remedy(nearest ? fmt::format("did you mean {}?", Quoted(*nearest))
                                       : "choose one of them"));
  }
  if (web.interface == "asgi" && web.server != "uvicorn") {
    return Failure(Error::Invalid(fmt::format("server {}: cannot serve an ASGI application",
                                              Quoted(web.server)))
                       .Remedy("use --server uvicorn"));
  }
  return {};
}

}  // namespace

Result<format::WebApplication> ParseWebApplication(const WebRequest& request) {
  if (request.wsgi.empty() == request.asgi.empty()) {
    return Failure(Error::Invalid("an application is either a WSGI or an ASGI application")
                       .Remedy("give one of --wsgi MODULE:CALLABLE and --asgi MODULE:CALLABLE"));
  }
  const bool asgi = request.wsgi.empty();
  format::WebApplication web = {.interface = asgi ? "asgi" : "wsgi",
                                .application = asgi ? request.asgi : request.wsgi,
                                .server = request.server};
  if (web.server.empty()) web.server = asgi ? "uvicorn" : "httpd";
  if (web.application.find(':') == std::string::npos) web.application += ":application";
  std::string_view plain = web.application;
  if (plain.ends_with("()")) plain.remove_suffix(2);
  TRY(format::ParseFunctionEntry(plain, web.interface + " application"));
  TRY(CheckServer(web));
  return web;
}

std::string WebModule(const format::WebApplication& web) {
  return web.application.substr(0, web.application.find(':'));
}

format::Entry WebEntry(const format::WebApplication& web) {
  return {.kind = format::EntryKind::kScript,
          .module = "",
          .function = "",
          .script = web.server,
          .file = JoinPath(format::kBootstrapDirectory, "_haft_serve.py"),
          .python = true};
}

}  // namespace haft
