// Bundles that serve a WSGI or ASGI application: what is asked for, and the entry that does it.
#pragma once

#include <string>

#include "haft/base/error.h"
#include "haft/format/manifest.h"

namespace haft {

// What was asked for: at most one of wsgi and asgi, MODULE:CALLABLE, MODULE:FUNCTION() or MODULE
// (then the callable is "application"). server: "" for the usual one.
struct WebRequest {
  std::string wsgi;
  std::string asgi;
  std::string server;

  bool empty() const { return wsgi.empty() && asgi.empty() && server.empty(); }
};

// kInvalidInput says what is wrong with the request. REQUIRES: !request.empty().
Result<format::WebApplication> ParseWebApplication(const WebRequest& request);

// The module that has to be importable.
std::string WebModule(const format::WebApplication& web);

// The script that serves the manifest's web application; it is one of ServeFiles(), which have to
// be in the image.
format::Entry WebEntry(const format::WebApplication& web);

}  // namespace haft
